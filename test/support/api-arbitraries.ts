import fc, { type Arbitrary } from 'fast-check';
import { countCharacters } from '../../src/common/validation/text.js';
import type { OpenApi, Schema } from './openapi.js';

/** Values for fields whose rules no schema can tell, by the field's name. */
export type Hints = Readonly<Record<string, Arbitrary<unknown>>>;

const CHARACTERS = fc.string({ unit: 'binary', minLength: 0, maxLength: 40 }).map((text) => text.replaceAll('\0', '0'));

/** Values that the schema allows; strings are never only blanks, and have no NUL, which no text of ours may have. */
export function validValue(api: OpenApi, given: Schema, hints: Hints = {}): Arbitrary<unknown> {
  const schema = api.resolve(given);
  if (Array.isArray(schema.type)) {
    return fc.oneof(...schema.type.map((type) => validValue(api, { ...schema, type }, hints)));
  }
  if (schema.type === 'null') return fc.constant(null);
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return fc.oneof(...options.map((option) => validValue(api, option, hints)));
  if (schema.enum) return fc.constantFrom(...schema.enum.filter((value) => value !== null));
  switch (schema.type) {
    case 'string':
      return validText(schema);
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -1000, max: schema.maximum ?? 1000 });
    case 'number':
      return fc.double({ min: schema.minimum ?? -1000, max: schema.maximum ?? 1000, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return validList(api, schema, hints);
    default:
      return validObject(api, schema, hints);
  }
}

function validText({ format, pattern, minLength = 0, maxLength = 200 }: Schema): Arbitrary<string> {
  if (format === 'uuid') return fc.uuid({ version: 7 });
  if (format === 'date-time') {
    const bounds = { min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true };
    return fc.date(bounds).map((date) => date.toISOString());
  }
  if (format === 'email') return fc.stringMatching(/^[a-z]{3,10}\d{5,9}$/).map((name) => `${name}@example.com`);
  if (pattern !== undefined) {
    const fits = (text: string) => countCharacters(text) >= minLength && countCharacters(text) <= maxLength;
    return fc.stringMatching(new RegExp(pattern)).filter(fits);
  }
  const longest = fc.constantFrom('x', '💥').map((character) => character.repeat(maxLength));
  const fit = (text: string) =>
    Array.from(`a${text}${'b'.repeat(minLength)}`)
      .slice(0, maxLength)
      .join('');
  const text = CHARACTERS.map(fit);
  return fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: longest });
}

function validList(api: OpenApi, schema: Schema, hints: Hints): Arbitrary<unknown[]> {
  const { items = {}, minItems: minLength = 0, maxItems = 5, uniqueItems } = schema;
  const lengths = { minLength, maxLength: Math.max(minLength, Math.min(maxItems, 5)) };
  const item = validValue(api, items, hints);
  return uniqueItems ? fc.uniqueArray(item, lengths) : fc.array(item, lengths);
}

function validObject(api: OpenApi, schema: Schema, hints: Hints): Arbitrary<object> {
  const { properties, required = [], additionalProperties } = schema;
  if (properties) {
    const fields = Object.entries(properties).map(([name, field]) => [name, validField(api, name, field, hints)]);
    return fc.record(Object.fromEntries(fields) as Record<string, Arbitrary<unknown>>, {
      requiredKeys: required.filter((name) => name in properties),
    });
  }
  const key = fc.stringMatching(/^[A-Za-z_]\w{0,20}$/).filter((name) => !(name in {}) && name !== 'prototype');
  const value = typeof additionalProperties === 'object' ? validValue(api, additionalProperties, hints) : JSON_VALUE;
  return fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true });
}

/** By the hint of its name where there is one; null where the document allows that. */
export function validField(api: OpenApi, name: string, field: Schema, hints: Hints): Arbitrary<unknown> {
  const hint = hints[name];
  if (!hint) return validValue(api, field, hints);
  const { type, anyOf } = api.resolve(field);
  const isNullable = [type].flat().includes('null') || anyOf?.some((option) => option.type === 'null');
  return isNullable ? fc.option(hint, { nil: null, freq: 4 }) : hint;
}

const JSON_VALUE = fc.oneof(CHARACTERS, fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.integer()));
