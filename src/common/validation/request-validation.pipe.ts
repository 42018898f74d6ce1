import { Injectable, ValidationPipe, type ArgumentMetadata } from '@nestjs/common';
import { FORBIDDEN_KEYS } from './json-object.js';
import { MAX_DEPTH } from './json-text.js';
import { invalidRequest, validationError } from './validation-error.js';

/**
 * Turns bodies and queries into their DTO classes and checks them: unknown fields are refused, nothing is converted
 * that the class doesn't say.
 * @throws DomainError `request.invalid`
 */
@Injectable()
export class RequestValidationPipe extends ValidationPipe {
  constructor() {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      transform: true,
      transformOptions: { enableImplicitConversion: false },
      exceptionFactory: validationError,
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body' && Buffer.isBuffer(value))
      throw invalidRequest([{ field: 'body', message: 'must be a JSON object' }]);
    if (metadata.type === 'body' || metadata.type === 'query') refuseTraps(value, metadata.type);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (metadata.type === 'body' && value !== undefined && !isObject && this.toValidate(metadata)) {
      throw invalidRequest([{ field: 'body', message: 'must be a JSON object' }]);
    }
    return (await super.transform(value, metadata)) as unknown;
  }
}

/** Refuses what the libraries behind would silently drop, or overflow the stack on. */
function refuseTraps(value: unknown, where: string): void {
  if (typeof value !== 'object' || value === null) return;
  const inherited = Object.keys(value).find((key) => key in Object.prototype);
  if (inherited !== undefined) throw invalidRequest([{ field: inherited, message: 'is not a known field' }]);
  let level: object[] = [value];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_DEPTH)
      throw invalidRequest([{ field: where, message: `must not be nested deeper than ${MAX_DEPTH} levels` }]);
    const next: object[] = [];
    for (const item of level) {
      for (const [key, child] of Object.entries(item) as [string, unknown][]) {
        if (FORBIDDEN_KEYS.has(key)) throw invalidRequest([{ field: where, message: `must not have a key ${key}` }]);
        if (typeof child === 'object' && child !== null) next.push(child);
      }
    }
    level = next;
  }
}
