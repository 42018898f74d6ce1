import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonObjectProblem } from './json-object.js';

const LIMITS = { max_depth: 3, max_keys: 5, max_bytes: 100 };
const problem = (value: unknown) => jsonObjectProblem(value, LIMITS);

describe('free-form JSON objects', () => {
  it.each([
    [{}],
    [{ a: { b: { c: 1 } } }],
    [{ a: [[1]] }],
    [{ a: 1, b: { c: 2 }, d: 3, e: 4 }],
    [{ toString: 1, 'ключ 🐎': 'ä' }],
  ])('%j is fine', (value) => {
    expect(problem(value)).toBeUndefined();
  });

  it.each([
    [[], 'must be a JSON object'],
    [null, 'must be a JSON object'],
    ['{}', 'must be a JSON object'],
    [{ a: { b: { c: {} } } }, 'must not be nested deeper than 3 levels'],
    [{ a: [[[]]] }, 'must not be nested deeper than 3 levels'],
    [{ a: 1, b: { c: 2, d: 3 }, e: 4, f: [] }, 'must not have more than 5 keys'],
    [{ a: 'x'.repeat(93) }, 'must not be larger than 100 bytes of JSON'],
    [{ a: 'ä'.repeat(47) }, 'must not be larger than 100 bytes of JSON'],
    [{ a: ['\0'] }, 'must not contain NUL or broken characters (lone surrogates)'],
    [{ a: { b: '\ud800' } }, 'must not contain NUL or broken characters (lone surrogates)'],
    [{ '\0': 1 }, 'must not have keys with NUL or broken characters (lone surrogates)'],
    [{ a: { '\udfff': 1 } }, 'must not have keys with NUL or broken characters (lone surrogates)'],
    [{ a: Infinity }, 'must not contain numbers beyond 1.8e308'],
    [JSON.parse('{"a": {"__proto__": 1}}'), 'must not have a key __proto__'],
    [JSON.parse('{"constructor": 1}'), 'must not have a key constructor'],
  ])('%j: %s', (value, message) => {
    expect(problem(value)).toBe(message);
  });

  it('are refused at any depth without overflowing the stack', () => {
    const deep: unknown = JSON.parse(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`);
    expect(problem(deep)).toBe('must not be nested deeper than 3 levels');
  });

  it('never pass with what PostgreSQL would refuse', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' })), (value) => {
        const accepted = jsonObjectProblem(value, { max_depth: 50, max_keys: 1e6, max_bytes: 1e6 }) === undefined;
        if (accepted) expect(JSON.stringify(value)).not.toMatch(/\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2}/);
      }),
    );
  });
});
