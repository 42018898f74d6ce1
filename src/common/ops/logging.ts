import type { DynamicModule } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { LoggerModule, PinoLogger } from 'nestjs-pino';
import pino, { type DestinationStream } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.js';
import { currentRequest } from '../http/request-context.js';
import { withoutSecrets } from './log-secrets.js';

/** Nest tells of every route and module at start; that is for debugging. */
const CHATTY = new Set(['InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'WebSocketsController']);
const INFO = pino.levels.values['info'] ?? 30;
const QUIET = /^\/(health\/|metrics$)/;

/** Requests are logged by {@link logRequests}, which says what is to be seen of them. */
const same = (value: unknown): unknown => value;
const AS_IT_IS = { req: same, res: same };

/**
 * Structured logs: JSON lines, or readable ones on a terminal. Each line of a request carries its `request_id`,
 * the correlation id that answers carry too. No headers and no bodies are logged, and no query: it may hold a token.
 */
export function loggerModule(config: Config): DynamicModule {
  const logger = pino(
    {
      level: config.logging.level,
      base: { pid: process.pid },
      hooks: { logMethod: skipChatter, streamWrite: withoutSecrets },
      mixin: requestId,
    },
    destination(config),
  );
  // No middleware: with a logger and listeners of its own for each request it would cost as much as reading a task.
  return LoggerModule.forRoot({ forRoutes: [], pinoHttp: { logger, wrapSerializers: false, serializers: AS_IT_IS } });
}

function requestId(): object {
  const request = currentRequest();
  return request ? { request_id: request.correlation_id } : {};
}

/** One line for each request when it has ended. */
export function logRequests(fastify: FastifyInstance): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    const [path = '/'] = request.url.split('?');
    if (!QUIET.test(path)) {
      const line = {
        request_id: request.id,
        req: { method: request.method, path },
        res: { status: reply.statusCode },
        response_time_ms: Math.round(reply.elapsedTime),
      };
      if (reply.statusCode >= 500) PinoLogger.root.error(line, 'request failed');
      else PinoLogger.root.info(line, 'request completed');
    }
    done();
  });
}

/** Where log lines go, and in which form. */
export function destination({ logging }: Config): DestinationStream {
  const { format, output_path } = logging;
  const file = output_path !== 'stdout' && output_path !== 'stderr';
  const stream = output_path === 'stderr' ? process.stderr : process.stdout;
  if (format === 'text' || (format === 'auto' && !file && stream.isTTY)) {
    return pretty({
      destination: file ? output_path : stream.fd,
      ignore: 'pid,hostname,req,context',
      messageFormat: '{if context}[{context}] {end}{msg}',
      sync: true,
      singleLine: true,
    });
  }
  return pino.destination({ dest: file ? output_path : stream.fd, sync: true, mkdir: true });
}

function skipChatter(this: pino.Logger, args: Parameters<pino.LogFn>, method: pino.LogFn, level: number): void {
  const [first] = args as unknown as [{ context?: string } | string];
  const context = typeof first === 'object' ? first.context : undefined;
  if (level > INFO || !CHATTY.has(context ?? '') || this.isLevelEnabled('debug')) method.apply(this, args);
}
