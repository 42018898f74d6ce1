import { describe, expect, it } from 'vitest';
import { AttemptFailure } from './outcome.js';
import { checkBranch, checkRepositoryAddress } from './repository-address.js';

const allowed = (url: string, allow_local_repositories = false) => {
  try {
    checkRepositoryAddress(url, { allow_local_repositories });
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(AttemptFailure);
    return false;
  }
};

describe('repository addresses', () => {
  it.each([
    'https://example.com/a.git',
    'ssh://git@example.com/a',
    'git@example.com:team/a.git',
    'git://example.com/a',
  ])('%s is cloned', (url) => expect(allowed(url)).toBe(true));

  it.each([
    '--upload-pack=touch /tmp/x',
    '-u',
    'ext::sh -c id',
    'fd::17',
    'https://a b',
    'https://example.com/\n',
    'relative/path',
    '',
    'C:\\repo',
  ])('%j is refused, whatever is configured', (url) => {
    expect(allowed(url)).toBe(false);
    expect(allowed(url, true)).toBe(false);
  });

  it.each(['/srv/repository', 'file:///srv/repository'])('%s is cloned where local repositories may be', (url) => {
    expect(allowed(url)).toBe(false);
    expect(allowed(url, true)).toBe(true);
  });
});

describe('branches', () => {
  it.each(['main', 'feature/a-b', 'v1.2'])('%s is fine', (branch) => expect(() => checkBranch(branch)).not.toThrow());
  it.each(['-b', '--upload-pack=x', 'a b', 'a..b', 'a~1', 'a:b', 'a\0b', 'a.lock', 'a/'])('%j is refused', (branch) =>
    expect(() => checkBranch(branch)).toThrow(AttemptFailure),
  );
});
