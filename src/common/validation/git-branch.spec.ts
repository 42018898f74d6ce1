import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gitBranchProblem } from './git-branch.js';

/** What git itself says; the names that mean something else on its command line aside. */
function gitAccepts(name: string): boolean {
  const isSpecial = name.startsWith('-') || name === '@' || name === 'HEAD';
  return !isSpecial && spawnSync('git', ['check-ref-format', `refs/heads/${name}`]).status === 0;
}

/** Made of what the rules are about, so that most samples come close to a limit. */
const NAMES = fc
  .array(
    fc.constantFrom(
      'a',
      'Z',
      '9',
      '-',
      '.',
      '..',
      '/',
      '@',
      '{',
      '~',
      '^',
      ':',
      '?',
      '*',
      '[',
      '\\',
      ' ',
      '\t',
      '.lock',
      'é',
      '🐎',
    ),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((parts) => parts.join(''));

describe('branch names', () => {
  it.each(['main', 'feature/x-1', 'v1.2.3', 'renovate/@scope/pkg-2.x', 'ünïcödé/🐎', 'a@b', 'HEADS'])(
    '%s is fine',
    (name) => {
      expect(gitBranchProblem(name)).toBeUndefined();
    },
  );

  it.each([
    '',
    '-x',
    '--upload-pack=x',
    'a b',
    'a..b',
    'a@{1}',
    '@',
    'HEAD',
    'a/',
    '/a',
    'a//b',
    '.a',
    'a/.b',
    'a.lock',
    'a.lock/b',
    'a.',
    'a\n',
    'a\x7f',
  ])('%j is refused', (name) => {
    expect(gitBranchProblem(name)).toMatch(/^must /);
  });

  it.each([['a'.repeat(256)], ['a\0'], ['a\ud800'], [5], [null]])('%j is refused, as any wrong text', (name) => {
    expect(gitBranchProblem(name)).toMatch(/^must /);
  });

  it('are accepted just when git accepts them', () => {
    fc.assert(
      fc.property(NAMES, (name) => gitAccepts(name) === (gitBranchProblem(name) === undefined)),
      { numRuns: 150 }, // each starts a process
    );
  });
});
