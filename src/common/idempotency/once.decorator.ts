import { createHash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { invalidRequest } from '../validation/validation-error.js';
import type { OnceKey } from './idempotency.js';

const KEY = /^[\x21-\x7e]{1,255}$/;
const DESCRIPTION =
  'Any text of your own, new for each request. Sent again within 24 hours, with the same body, it gives the first answer ' +
  'and changes nothing; with another body it is 409.';

interface Request {
  method: string;
  url: string;
  body?: unknown;
  headers: Record<string, string | undefined>;
}

/** The key of the request; null when it has none. @throws DomainError `request.invalid` */
export function onceKey({ method, url, body, headers }: Request): OnceKey | null {
  const key = headers['idempotency-key'];
  if (key === undefined) return null;
  if (!KEY.test(key)) {
    throw invalidRequest([{ field: 'Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' }]);
  }
  const request = JSON.stringify([method, url, body ?? null]);
  return { key, fingerprint: createHash('sha256').update(request).digest('hex') };
}

const once = createParamDecorator((_: unknown, context: ExecutionContext) =>
  onceKey(context.switchToHttp().getRequest<Request>()),
);

/** The `Idempotency-Key` of the request: `OnceKey | null`. Hand it to the command, which gives it to `Idempotency.run`. */
export function Once(): ParameterDecorator {
  return (target, key, index) => {
    once()(target, key, index);
    const method = key === undefined ? undefined : Object.getOwnPropertyDescriptor(target, key);
    if (key === undefined || !method) return;
    const schema = { type: 'string', maxLength: 255, example: 'e7b1c2d4-order-17' };
    ApiHeader({ name: 'Idempotency-Key', required: false, description: DESCRIPTION, schema })(target, key, method);
  };
}
