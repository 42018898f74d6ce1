import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set by {@link BodyLimit}. */
    body_limit?: number;
  }
}

/** Lets an operation take larger bodies than others, in bytes; see {@link allowLargerBodies}. */
export const BodyLimit = (bytes: number): MethodDecorator => RouteConfig({ body_limit: bytes });

/** Makes {@link BodyLimit} work: Nest knows one limit for all routes. */
export function allowLargerBodies(fastify: FastifyInstance): void {
  fastify.addHook('onRoute', (route) => {
    if (route.config?.body_limit !== undefined) route.bodyLimit = route.config.body_limit;
  });
}
