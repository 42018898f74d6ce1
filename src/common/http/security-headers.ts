import helmet from '@fastify/helmet';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

/** What answers of the API carry: nothing of them is to be shown, framed, guessed at or kept. */
export const STRICT_HEADERS = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
} as const;

const DOCS = /^\/docs(?:[/?-]|$)/;

/** Headers that tell browsers to be careful. The pages at /docs get what they need to work, everything else nothing. */
export async function setSecurityHeaders(app: NestFastifyApplication): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: { 'script-src': ["'self'", "'unsafe-inline'"], 'upgrade-insecure-requests': null },
    },
  });
  // At the beginning, so that an operation may say otherwise.
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (request, reply, done) => {
      if (!DOCS.test(request.url)) void reply.headers(STRICT_HEADERS);
      done();
    });
}
