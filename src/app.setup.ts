import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import helmet from '@fastify/helmet';
import { RequestMethod } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module.js';
import { setUpApiDocument } from './common/http/api-document.js';
import type { Config } from './common/config/config.js';
import { inRequest } from './common/http/request-context.js';
import { RequestValidationPipe } from './common/validation/request-validation.pipe.js';

const MAX_BODY_BYTES = 1024 * 1024; // a description is text; anything larger is an attack or a mistake
const REQUEST_ID = /^[\w.:-]{1,100}$/;

/** The application, set up but not listening: the same for `main` and for tests. */
export async function createApp(config: Config, databaseUrl: string): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: MAX_BODY_BYTES,
    genReqId: correlationId,
    trustProxy: (_address: string, hop: number) => hop < config.http.trusted_proxies,
  });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.forRoot(config, databaseUrl), adapter, {
    bufferLogs: true,
    forceCloseConnections: true, // Nest looks here, Fastify at its own option: idle connections must not hold up the end
    abortOnError: false,
  });
  app.useLogger(app.get(Logger));
  app.useWebSocketAdapter(new IoAdapter(app));
  app.setGlobalPrefix('api/v1', { exclude: [{ path: 'health/{*all}', method: RequestMethod.ALL }] });
  app.useGlobalPipes(new RequestValidationPipe());
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: { 'script-src': ["'self'", "'unsafe-inline'"], 'upgrade-insecure-requests': null },
    },
  });
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request, _reply, done) =>
    inRequest({ correlation_id: request.id, address: request.ip }, done),
  );
  fastify.addHook('onSend', async (request, reply) => void reply.header('X-Correlation-Id', request.id));
  setUpApiDocument(app);
  return app;
}

/** The caller's own correlation id where it is a harmless one, else a new one. */
function correlationId(request: IncomingMessage): string {
  const given = request.headers['x-correlation-id'] ?? request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}
