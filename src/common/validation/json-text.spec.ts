import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capProblem, parseJson } from './json-text.js';

const parse = (text: string) => parseJson(Buffer.from(text));
const MIB = 1024 * 1024;

describe('JSON that somebody sent', () => {
  it.each([
    '{"a": [1, {"b": null}], "c": "\\"{[,:", "ключ": "🐎"}',
    '{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 2}]}',
    '"x"',
    ' 5 ',
    '[]',
  ])('%s is read as JSON.parse does', (text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it.each([
    '',
    '{',
    '{"a"',
    '{"a": ',
    '[1,]',
    "{'a': 1}",
    '{"a": "\u0001"}',
    '\ufeff{}',
    '}',
    ']{',
    '"\\',
    '{"\\x": 1}',
  ])('%j is malformed', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'request.malformed' }));
  });

  it('must be UTF-8', () => {
    expect(() => parseJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow(
      expect.objectContaining({ code: 'request.malformed' }),
    );
  });

  it.each([
    ['['.repeat(33), 'must not be nested deeper than 32 levels'],
    ['{"a":'.repeat(33), 'must not be nested deeper than 32 levels'],
    [`[${'1,'.repeat(10_000)}1]`, 'must not have more than 10000 keys and elements'],
    ['{"a": 1, "b": {"c": 1, "c": 2}}', 'must not have a key twice: c'],
    ['{"a": 1, "\\u0061": 2}', 'must not have a key twice: a'],
    ['{"a": {"__proto__": 1}}', 'must not have a key __proto__'],
    ['{"__pr\\u006fto__": 1}', 'must not have a key __proto__'],
    ['{"constructor": {"prototype": 1}}', 'must not have a key constructor'],
  ])('%#: %s', (text, message) => {
    expect(capProblem(text)).toBe(message);
  });

  it.each([
    `${'['.repeat(32)}${']'.repeat(32)}`,
    `[${'1,'.repeat(9_998)}1]`,
    '["a", "a", "__proto__"]',
    '{"a": "b", "b": "a", "c": "constructor"}',
  ])('%# is within the caps', (text) => {
    expect(capProblem(text)).toBeUndefined();
  });

  it('of any kind up to the largest body costs some milliseconds', () => {
    const texts = ['[', '{', '"', ',', '\\', '"\\', '\\"', '{"a":', '[1,', '"a",', '{}', '[]'].map((part) =>
      part.repeat(MIB / part.length),
    );
    for (const text of [...texts, `"${'\\'.repeat(MIB)}"`, `["${'\\"'.repeat(MIB / 2)}"]`]) {
      const started = performance.now();
      capProblem(text);
      expect(performance.now() - started).toBeLessThan(250); // some 10 ms; a slow machine is not the point
    }
  });

  it('has a problem in any JSON exactly when a key comes twice or is a forbidden one', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        const forbidden = /"(?:__proto__|constructor|prototype)":/.test(text);
        expect(capProblem(text) === undefined || forbidden).toBe(true);
        if (text.startsWith('{') && text.length > 2) {
          expect(capProblem(`${text.slice(0, -1)},${text.slice(1)}`)).toMatch(/twice|__proto__|constructor|prototype/);
        }
      }),
    );
  });
});
