import { describe, expect, it } from 'vitest';
import { fitsPattern, patternProblem } from './path-pattern.js';

describe('a pattern of paths', () => {
  it.each([
    ['src/**', 'src/a/b.ts', true],
    ['src/**', 'src', true],
    ['src/**', 'srcs/a', false],
    ['**/*.ts', 'a.ts', true],
    ['**/*.ts', 'a/b/.c.ts', true],
    ['**/*.ts', 'a/b/c.tsx', false],
    ['*', 'a/b', false],
    ['a/**/b/**/c', 'a/x/b/b/y/c', true],
    ['a/**/b/**/c', 'a/x/c/b', false],
    ['?.ts', 'é.ts', true],
    ['??.ts', 'a.ts', false],
    ['a*b*c', 'a-b-bc', true],
    ['a*b*c', 'a-c-b', false],
    ['docs', 'docs/a', false],
    ['**', '', true],
    ['**', `${'a/'.repeat(3000)}b`, false],
  ])('%s and %s: %s', (pattern, path, isFit) => {
    expect(fitsPattern(pattern, path)).toBe(isFit);
  });

  it.each(['/etc/**', '../a', 'a/../b', 'a//b', './a', 'a/', '*.{ts,js}', '[ab]', '!(a)', 'a\\b'])(
    'may not be %s',
    (pattern) => {
      expect(patternProblem(pattern)).toMatch(/^must not /);
    },
  );

  it.each(['src/**', '*', '.git/**', 'a b/ü?.ts', '...'])('may be %s', (pattern) => {
    expect(patternProblem(pattern)).toBeUndefined();
  });
});
