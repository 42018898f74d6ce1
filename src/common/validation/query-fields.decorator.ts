import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { Check } from './check.decorator.js';

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i;
const END_OF_TIMES = Date.UTC(9999, 0); // with any offset it is a year of four digits still

/** A time by RFC 3339, such as `2026-11-22T12:00:00Z`; becomes the same time in UTC with milliseconds. */
export function IsTime(): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => (isTime(value) ? new Date(value).toISOString() : value)),
    Check(
      'isTime',
      (value) => (isTime(value) ? undefined : 'must be a time such as 2026-11-22T12:00:00Z, from 1970 on'),
      { type: 'string', format: 'date-time' },
    ),
  );
}

/** Several whole numbers, from a query parameter: `1,2` or the parameter twice. */
export function IsListOfWholeNumbers({ min, max }: { min: number; max: number }): PropertyDecorator {
  const isRight = (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.every((n) => Number.isSafeInteger(n) && n >= min && n <= max);
  return applyDecorators(
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => numbersOf(obj[key])),
    Check(
      'isListOfWholeNumbers',
      (value) => (isRight(value) ? undefined : `must be whole numbers from ${min} to ${max}, separated by commas`),
      { type: 'integer', isArray: true, minimum: min, maximum: max },
    ),
  );
}

function isTime(value: unknown): value is string {
  if (typeof value !== 'string' || !RFC_3339.test(value)) return false;
  const time = Date.parse(value);
  return time >= 0 && time < END_OF_TIMES;
}

function numbersOf(value: unknown): unknown {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  if (!parts.every((part) => typeof part === 'string')) return value;
  const items = parts.flatMap((part) => part.split(','));
  return items.every((item) => /^\d{1,15}$/.test(item)) ? [...new Set(items.map(Number))] : value;
}
