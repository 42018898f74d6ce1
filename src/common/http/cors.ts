import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Config } from '../config/config.js';

const PREFLIGHT_SECONDS = 7200; // as long as browsers keep one

/** Lets pages of the configured origins use the API; without any, no page but the server's own may. */
export function allowOrigins(app: NestFastifyApplication, { http }: Config): void {
  if (http.cors_origins.length === 0) return;
  app.enableCors({
    origin: http.cors_origins,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      ...['Authorization', 'Content-Type', 'If-Match', 'Idempotency-Key', 'Last-Event-ID'],
      ...['X-Correlation-Id', 'Range', 'If-Range'],
    ],
    exposedHeaders: [
      ...['ETag', 'Location', 'Retry-After', 'X-Correlation-Id', 'Content-Disposition'],
      ...['Accept-Ranges', 'Content-Range'],
      ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
    ],
    credentials: false, // tokens are headers; a cookie would be sent by any page
    maxAge: PREFLIGHT_SECONDS,
  });
}
