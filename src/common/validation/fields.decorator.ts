import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { Check } from './check.decorator.js';
import { isUuid } from './id.decorator.js';
import { textProblem, type TextRules } from './text.js';

/** A text that PostgreSQL can store; lengths in characters. With `trim`, blanks around it are taken off first. */
export function IsText({ trim = false, ...rules }: TextRules & { trim?: boolean } = {}): PropertyDecorator {
  const documented = { minLength: rules.min, maxLength: rules.max, pattern: rules.pattern?.source };
  const check = Check('isText', (value) => textProblem(value, rules), documented);
  return trim ? applyDecorators(check, Trim()) : check;
}

/** A whole number; JSON's `"5"` is none. */
export function IsWholeNumber({ min, max }: { min: number; max: number }): PropertyDecorator {
  const isRight = (value: unknown) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
  return Check(
    'isWholeNumber',
    (value) => (isRight(value) ? undefined : `must be a whole number from ${min} to ${max}`),
    {
      type: 'integer',
      minimum: min,
      maximum: max,
    },
  );
}

/** `true` or `false`; texts are neither. */
export function IsFlag(): PropertyDecorator {
  return Check('isFlag', (value) => (typeof value === 'boolean' ? undefined : 'must be true or false'), {
    type: 'boolean',
  });
}

/** A UUID of any version. */
export function IsUuidText(): PropertyDecorator {
  return Check('isUuidText', (value) => (isUuid(value) ? undefined : 'must be a UUID'), {
    type: 'string',
    format: 'uuid',
  });
}

/** One of the values, exactly as it is written. */
export function IsOneOf(values: readonly string[]): PropertyDecorator {
  const isRight = (value: unknown) => typeof value === 'string' && values.includes(value);
  return Check('isOneOf', (value) => (isRight(value) ? undefined : `must be one of ${values.join(', ')}`), {
    enum: [...values],
  });
}

/** Several of the values, from a query parameter: `a,b` or the parameter twice. */
export function IsListOf(values: readonly string[]): PropertyDecorator {
  const isRight = (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.every((item: string) => values.includes(item));
  return applyDecorators(
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => splitList(obj[key])),
    Check(
      'isListOf',
      (value) => (isRight(value) ? undefined : `must be one or more of ${values.join(', ')}, separated by commas`),
      {
        isArray: true,
        enum: [...values],
      },
    ),
  );
}

/** Turns a query parameter of digits into a number; anything else stays as it is, for the check to refuse. */
export const FromDigits = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value,
  );

const Trim = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.trim() : value));

function splitList(value: unknown): unknown {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  if (!parts.every((part) => typeof part === 'string')) return value;
  return [...new Set(parts.flatMap((part) => part.split(',')))];
}
