import { Injectable, UnsupportedMediaTypeException, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set by {@link TakesNdjson}. */
    ndjson?: boolean;
  }
}

/** One JSON value a line. */
export const NDJSON = 'application/x-ndjson';

/** The operation takes NDJSON, as the bytes it is; every other one answers 415. */
export const TakesNdjson = (): MethodDecorator => RouteConfig({ ndjson: true });

/** Lets bodies of NDJSON in, within the limit of all bodies. */
@Injectable()
export class NdjsonBodies implements OnModuleInit {
  constructor(private readonly host: HttpAdapterHost) {}

  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    fastify.addContentTypeParser(NDJSON, { parseAs: 'buffer' }, ({ routeOptions }, body, done) => {
      if (routeOptions.config.ndjson) done(null, body);
      else done(new UnsupportedMediaTypeException());
    });
  }
}
