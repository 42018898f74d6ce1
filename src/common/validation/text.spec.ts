import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countCharacters, isStorableText, textProblem } from './text.js';

describe('texts', () => {
  it('are counted in characters, as PostgreSQL does', () => {
    expect(countCharacters('a🐎é')).toBe(3);
    expect(textProblem('🐎'.repeat(500), { max: 500 })).toBeUndefined();
    expect(textProblem('🐎'.repeat(501), { max: 500 })).toBe('must have at most 500 characters');
    expect(textProblem('a'.repeat(1001), { max: 500 })).toBe('must have at most 500 characters');
  });

  it.each([
    ['', { min: 1 }, 'must not be empty'],
    ['abc', { min: 4 }, 'must have at least 4 characters'],
    ['a\0b', {}, 'must not contain NUL or broken characters (lone surrogates)'],
    ['a\ud800b', {}, 'must not contain NUL or broken characters (lone surrogates)'],
    ['\udc00', {}, 'must not contain NUL or broken characters (lone surrogates)'],
    ['A', { pattern: /^[a-z]$/, pattern_message: 'must be small' }, 'must be small'],
    [5, {}, 'must be a text'],
    [null, {}, 'must be a text'],
    [['a'], {}, 'must be a text'],
  ])('%j with %j: %s', (value, rules, problem) => {
    expect(textProblem(value, rules)).toBe(problem);
  });

  it('are storable when UTF-8 gives them back and no NUL is in them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('', '\0', '\ud83d', '\udc0e', '🐎'), (text, trap) => {
        const value = text + trap;
        const roundTrip = Buffer.from(value, 'utf8').toString('utf8');
        expect(isStorableText(value)).toBe(roundTrip === value && !value.includes('\0'));
      }),
    );
  });
});
