import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { Check } from './check.decorator.js';
import { isUuid } from './id.decorator.js';

/** A list of UUIDs, none twice; becomes lower case, as ids are kept. */
export function IsUuidList({ min = 0, max }: { min?: number; max: number }): PropertyDecorator {
  const problemOf = (value: unknown): string | undefined => {
    if (!Array.isArray(value) || value.length < min || value.length > max)
      return `must be a list of ${min > 0 ? `${min} to` : 'at most'} ${max} UUIDs`;
    if (!value.every(isUuid)) return 'must have UUIDs only';
    return new Set(value).size === value.length ? undefined : 'must not have a UUID twice';
  };
  const items = { minItems: min, maxItems: max, uniqueItems: true };
  const check = Check('isUuidList', problemOf, { type: 'string', format: 'uuid', isArray: true, ...items });
  return applyDecorators(Transform(lowerCased), check);
}

function lowerCased({ value }: { value: unknown }): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((item: unknown) => (typeof item === 'string' ? item.toLowerCase() : item));
}
