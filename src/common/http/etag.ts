import { createParamDecorator, Injectable, UseInterceptors } from '@nestjs/common';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { tap, type Observable } from 'rxjs';
import { invalidRequest } from '../validation/validation-error.js';

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

@Injectable()
class EtagInterceptor implements NestInterceptor<{ version: number }> {
  intercept(context: ExecutionContext, next: CallHandler<{ version: number }>): Observable<{ version: number }> {
    const reply = context.switchToHttp().getResponse<{ header(name: string, value: string): unknown }>();
    return next.handle().pipe(tap(({ version }) => reply.header('ETag', `"${version}"`)));
  }
}

/** Sends the answer's `version` as its ETag. */
export const WithEtag = (): MethodDecorator => UseInterceptors(EtagInterceptor);

/** For `headers` of an OpenAPI response. */
export const ETAG_HEADER = {
  ETag: { description: 'The version, for If-Match.', schema: { type: 'string', example: '"3"' } },
} as const;
