import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { Check } from './check.decorator.js';
import { jsonObjectProblem, type JsonLimits } from './json-object.js';

/** Room for labels and links, small enough to be stored twice (before, after) with each change of it. */
const DEFAULTS: JsonLimits = { max_depth: 8, max_keys: 200, max_bytes: 32 * 1024 };

/** A free-form JSON object within the limits. */
export function IsJsonObject(limits: JsonLimits = DEFAULTS): PropertyDecorator {
  return applyDecorators(
    // As it came: class-transformer's copy would lose keys such as `toString`.
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => obj[key]),
    Check('isJsonObject', (value) => jsonObjectProblem(value, limits), { type: 'object', additionalProperties: true }),
  );
}
