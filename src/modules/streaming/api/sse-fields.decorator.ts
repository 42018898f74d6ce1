import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { Check } from '../../../common/validation/check.decorator.js';
import { isUuid } from '../../../common/validation/id.decorator.js';

const MAX_IDS = 400; // an address holds no more of them

/** Several UUIDs, from a query parameter: `a,b` or the parameter twice; each becomes lower case. */
export function IsListOfUuids(): PropertyDecorator {
  const isRight = (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.length <= MAX_IDS && value.every((id) => isUuid(id));
  return applyDecorators(
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => idsOf(obj[key])),
    Check(
      'isListOfUuids',
      (value) => (isRight(value) ? undefined : `must be up to ${MAX_IDS} UUIDs, separated by commas`),
      { type: 'string', format: 'uuid', isArray: true },
    ),
  );
}

function idsOf(value: unknown): unknown {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  if (!parts.every((part) => typeof part === 'string')) return value;
  return [...new Set(parts.flatMap((part) => part.toLowerCase().split(',')))];
}
