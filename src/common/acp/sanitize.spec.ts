import { describe, expect, it } from 'vitest';
import { MAX_DEPTH, sanitizeJson, storableJson } from './sanitize.js';

describe('what is stored', () => {
  it('is the value itself where nothing has to be changed', () => {
    const value = { a: ['b', 1, null, { c: true }] };
    expect(sanitizeJson(value)).toEqual({ value, changed: false });
    expect(sanitizeJson(value)?.value).toBe(value);
    expect(storableJson(value)).toBe(JSON.stringify(value));
  });

  it.each([
    [{ message: 'a\0b' }, '{"message":"a\uFFFDb"}'],
    [{ message: '\ud800' }, '{"message":"\uFFFD"}'],
    [{ 'k\0': 1 }, '{"k\uFFFD":1}'],
    [{ message: 'C:\\u0000' }, JSON.stringify({ message: 'C:\\u0000' })],
    [{ a: 'x', b: Number.POSITIVE_INFINITY }, '{"a":"x","b":null}'],
  ])('of %j is what PostgreSQL can look into', (data, text) => expect(storableJson(data)).toBe(text));

  it('is nothing that nests too deep', () => {
    let value: unknown = 1;
    for (let depth = 0; depth < MAX_DEPTH; depth++) value = [value];
    expect(sanitizeJson(value)).toMatchObject({ changed: false });
    expect(sanitizeJson([value])).toBeUndefined();
    expect(sanitizeJson(['\0', [value]])).toBeUndefined();
  });
});
