import { RequestMethod } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module.js';
import { setUpApiDocument } from './common/http/api-document/api-document.js';
import type { Config } from './common/config/config.js';
import { allowOrigins } from './common/http/cors.js';
import { allowLargerBodies } from './common/http/body-limit.js';
import { hearOut } from './common/http/hear-out.js';
import { sendEtags } from './common/http/etag.js';
import { httpAdapter } from './common/http/http-adapter.js';
import { refuseClients } from './common/http/role-gate.js';
import { inRequest } from './common/http/request-context.js';
import { setSecurityHeaders } from './common/http/security-headers.js';
import { logRequests } from './common/ops/logging.js';
import { worksIn } from './common/ops/roles.js';
import { Metrics } from './common/ops/metrics.js';
import { RequestValidationPipe } from './common/validation/request-validation.pipe.js';

/**
 * The application, set up but not listening: the same for `main` and for tests. With `preview` nothing is made or
 * connected to: enough to describe the API.
 */
export async function createApp(
  config: Config,
  databaseUrl: string,
  { preview = false } = {},
): Promise<NestFastifyApplication> {
  const module = AppModule.forRoot(config, databaseUrl);
  const app = await NestFactory.create<NestFastifyApplication>(module, httpAdapter(config), {
    bufferLogs: true,
    bodyParser: false, // the adapter brings its own
    forceCloseConnections: true, // Nest looks here, Fastify at its own option: idle connections must not hold up the end
    abortOnError: false,
    preview,
  });
  app.setGlobalPrefix('api/v1', {
    exclude: [
      { path: 'health/{*all}', method: RequestMethod.ALL },
      { path: 'metrics', method: RequestMethod.ALL },
    ],
  });
  if (preview) return app;
  app.useLogger(app.get(Logger));
  app.useWebSocketAdapter(new IoAdapter(app));
  app.useGlobalPipes(new RequestValidationPipe());
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.header('X-Correlation-Id', request.id);
    inRequest({ correlation_id: request.id, address: request.ip }, done);
  });
  logRequests(fastify);
  refuseClients(fastify, config.orchestrator.role);
  app.get(Metrics).measure(fastify);
  sendEtags(fastify);
  allowLargerBodies(fastify);
  hearOut(fastify);
  await setSecurityHeaders(app);
  allowOrigins(app, config);
  if (worksIn(config.orchestrator.role, ['api'])) setUpApiDocument(app);
  return app;
}
