import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { invalidRequest } from '../validation/validation-error.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set by {@link WithEtag}. */
    etag?: boolean;
  }
}

/** The versions of an `If-Match` header; null when there is none, or `*`, and any version will do. */
export function parseIfMatch(header: string | undefined): number[] | null {
  if (header === undefined || header.trim() === '*') return null;
  const tags = header.split(',').map((tag) => /^(?:W\/)?"([\x21\x23-\x7e]*)"$/.exec(tag.trim())?.[1]);
  if (tags.some((tag) => tag === undefined)) {
    throw invalidRequest([
      { field: 'If-Match', message: 'must be the ETag of an earlier answer, with its quotes, or *' },
    ]);
  }
  // W/ is let pass: a proxy that compresses adds it, and the version inside is exact all the same.
  return tags.map((tag) => (/^\d{1,9}$/.test(tag ?? '') ? Number(tag) : -1));
}

const ifMatch = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string | undefined> }>();
  return parseIfMatch(headers['if-match']);
});

/** The versions that the caller allows to be changed: `number[] | null`, see {@link parseIfMatch}. */
export function IfMatch(): ParameterDecorator {
  return (target, key, index) => {
    ifMatch()(target, key, index);
    const method = key === undefined ? undefined : Object.getOwnPropertyDescriptor(target, key);
    if (key === undefined || !method) return;
    const description = 'ETag of the version to change; 412 when there is a newer one.';
    ApiHeader({ name: 'If-Match', required: false, description, schema: { type: 'string', example: '"3"' } })(
      target,
      key,
      method,
    );
  };
}

/** Sends the answer's `version` as its ETag; see {@link sendEtags}. */
export const WithEtag = (): MethodDecorator => RouteConfig({ etag: true });

/** Makes {@link WithEtag} work. A hook of the route: an interceptor costs ten times as much. */
export function sendEtags(fastify: FastifyInstance): void {
  fastify.addHook('onRoute', (route) => {
    if (!route.config?.etag) return;
    route.preSerialization = (_request, reply, payload, done) => {
      const { version } = payload as { version?: number };
      if (version !== undefined && reply.statusCode < 300) void reply.header('ETag', `"${version}"`);
      done(null, payload);
    };
  });
}

/** For `headers` of an OpenAPI response. */
export const ETAG_HEADER = {
  ETag: { description: 'The version, for If-Match.', schema: { type: 'string', example: '"3"' } },
} as const;
