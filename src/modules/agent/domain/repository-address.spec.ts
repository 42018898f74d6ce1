import { describe, expect, it } from 'vitest';
import { AttemptFailure } from './outcome.js';
import {
  checkBranch,
  checkRepositoryAddress,
  normalizedAddress,
  parseRepositoryAddress,
} from './repository-address.js';

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
    'https://ann@example.com/a.git',
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
    'https://ann:secret@example.com/a.git',
    'ssh://-oProxyCommand=id/a',
    '-oProxyCommand=id@host:a',
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

  it('with a password say what to do instead, and not what it was', () => {
    const refuse = () =>
      checkRepositoryAddress('https://ann:hunter2@example.com/a', { allow_local_repositories: true });
    expect(refuse).toThrow(/password or token.*credentials/);
    expect(refuse).not.toThrow(/hunter2/);
  });
});

describe('an address taken apart', () => {
  it.each([
    ['https://Example.com/a', { transport: 'https', host: 'example.com', port: 443, path: '/a', own_port: false }],
    ['http://0x7f.1:8080/a?b', { transport: 'http', host: '127.0.0.1', port: 8080, path: '/a?b', own_port: true }],
    ['http://2130706433/a', { transport: 'http', host: '127.0.0.1', port: 80, path: '/a', own_port: false }],
    ['https://[::1]/a', { transport: 'https', host: '::1', port: 443, path: '/a', own_port: false }],
    ['ssh://git@h:2222/a', { transport: 'ssh', host: 'h', port: 2222, path: '/a', own_port: true }],
    ['ssh://git@0x7f000001/a', { transport: 'ssh', host: '0x7f000001', port: 22, path: '/a', own_port: false }],
    ['git@h:team/a', { transport: 'ssh', host: 'h', port: 22, path: 'team/a', own_port: false }],
    ['git@[::1]:a', { transport: 'ssh', host: '::1', port: 22, path: 'a', own_port: false }],
    ['git://h/a', { transport: 'git', host: 'h', port: 9418, path: '/a', own_port: false }],
    ['file:///srv/a%20b', { transport: 'local', path: '/srv/a b' }],
    ['/srv/a b', { transport: 'local', path: '/srv/a b' }],
  ])('%s', (url, parts) => expect(parseRepositoryAddress(url)).toEqual(parts));

  it.each([
    ['https://EXAMPLE.com/a/', 'https://example.com:443/a'],
    ['git@Host:a', 'git@host:a/'],
    ['/srv/a/', 'file:///srv/a'],
    ['ssh://git@h:22/a', 'ssh://git@H/a'],
  ])('%s and %s are one', (one, other) => expect(normalizedAddress(one)).toBe(normalizedAddress(other)));

  it.each([
    ['https://h/a', 'http://h/a'],
    ['https://h/a', 'https://h/A'],
    ['https://h/a', 'https://ann@h/a'],
    ['https://h/a', 'https://h/a.git'],
    ['https://h/a', 'https://h:8443/a'],
    ['git@h:a', 'ssh://git@h/a'],
  ])('%s and %s are two', (one, other) => expect(normalizedAddress(one)).not.toBe(normalizedAddress(other)));
});

describe('branches', () => {
  it.each(['main', 'feature/a-b', 'v1.2'])('%s is fine', (branch) => expect(() => checkBranch(branch)).not.toThrow());
  it.each(['-b', '--upload-pack=x', 'a b', 'a..b', 'a~1', 'a:b', 'a\0b', 'a.lock', 'a/'])('%j is refused', (branch) =>
    expect(() => checkBranch(branch)).toThrow(AttemptFailure),
  );
});
