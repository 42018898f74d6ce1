import { RequestMethod } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import pino, { type DestinationStream } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.js';

/** Nest tells of every route and module at start; that is for debugging. */
const CHATTY = new Set(['InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'WebSocketsController']);
const INFO = pino.levels.values['info'] ?? 30;
const QUIET = /^\/(health\/|metrics$)/;

/**
 * Structured logs: JSON lines, or readable ones on a terminal. Each line of a request carries its `request_id`,
 * the correlation id that answers carry too. No headers and no bodies are logged, and no query: it may hold a token.
 */
export function loggerModule(config: Config): DynamicModule {
  return LoggerModule.forRoot({
    forRoutes: [{ path: '{*all}', method: RequestMethod.ALL }],
    pinoHttp: {
      logger: pino(
        { level: config.logging.level, base: { pid: process.pid }, hooks: { logMethod: skipChatter } },
        destination(config),
      ),
      quietReqLogger: true,
      customAttributeKeys: { reqId: 'request_id' },
      autoLogging: { ignore: (request) => QUIET.test(request.url ?? '') },
      customLogLevel: (_request, response, error) => (error || response.statusCode >= 500 ? 'error' : 'info'),
      serializers: {
        req: ({ method, url }: { method: string; url: string }) => ({ method, path: url.split('?')[0] }),
        res: ({ statusCode }: { statusCode: number }) => ({ status: statusCode }),
      },
    },
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
