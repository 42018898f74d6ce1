import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { environmentProblem, hostVariables, maskVariables, resolveVariables } from './environment.js';

describe('environment variables', () => {
  it.each<[string, unknown, RegExp]>([
    ['a list', [], /object/],
    ['null', null, /object/],
    ['a name with a digit first', { '1A': 'x' }, /names of letters/],
    ['a name with =', { 'A=B': 'x' }, /names of letters/],
    ['an empty name', { '': 'x' }, /names of letters/],
    ['a long name', { [`A${'b'.repeat(100)}`]: 'x' }, /100 characters/],
    ["the server's own", { KANDEV_TASK_ID: 'x' }, /server's/],
    ['the same in small letters', { kandev_x: 'x' }, /server's/],
    ['a number', { A: 1 }, /text for A/],
    ['NUL', { A: 'a\0b' }, /NUL/],
    ['half a character', { A: '\ud800' }, /NUL or broken/],
    ['too many bytes', { A: 'é'.repeat(16_385) }, /32768 bytes/],
    ['too many', Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`A${n}`, ''])), /100 variables/],
  ])('refuses %s', (_, value, words) => {
    expect(environmentProblem(value)).toMatch(words);
  });

  it('lets the largest pass', () => {
    const values = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`_a${n}`, 'é'.repeat(16_384)]));
    expect(environmentProblem(values)).toBeUndefined();
  });

  it('take variables of the host by ${NAME}, anywhere in a value', () => {
    const variables = { A: 'x${B_1}y${C}', D: '$E ${} ${F', G: '${C}' };
    expect(hostVariables(variables)).toEqual(['B_1', 'C']);
    expect(resolveVariables(variables, (name) => `<${name}>`)).toEqual({ A: 'x<B_1>y<C>', D: '$E ${} ${F', G: '<C>' });
    expect(maskVariables(variables)).toEqual({ A: '***', D: '***', G: '${C}' });
  });

  it('resolve exactly what they name, whatever is in the value', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, value) => {
        const asked: string[] = [];
        const resolved = resolveVariables({ A: `${text}\${NAME}` }, (name) => {
          asked.push(name);
          return value;
        });
        expect(asked).toContain('NAME');
        expect(resolved['A']?.endsWith(value)).toBe(true);
      }),
    );
  });
});
