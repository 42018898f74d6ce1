import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { invalidRequest } from '../../../common/validation/validation-error.js';

const MAX_VERSION = 2_147_483_647; // the column's

/** As it was written: the pipe of all parameters would take `0x2` and `1e3` for numbers too. */
const version = createParamDecorator((_: unknown, context: ExecutionContext): number => {
  const text = context.switchToHttp().getRequest<{ params: Record<string, string> }>().params['version'] ?? '';
  const number = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_VERSION) return number;
  throw invalidRequest([{ field: 'version', message: `must be a whole number from 1 to ${MAX_VERSION}` }]);
});

/** The version in the path parameter `version`: a whole number from 1. @throws DomainError `request.invalid` */
export function VersionParam(): ParameterDecorator {
  return (target, key, index) => {
    version()(target, key, index);
    const method = key === undefined ? undefined : Object.getOwnPropertyDescriptor(target, key);
    if (key === undefined || !method) return;
    const schema = { type: 'integer', minimum: 1, maximum: MAX_VERSION, example: 2 };
    ApiParam({ name: 'version', schema })(target, key, method);
  };
}
