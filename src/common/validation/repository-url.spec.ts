import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { repositoryUrlProblem } from './repository-url.js';

describe('addresses of repositories', () => {
  it.each([
    'https://git.example.com/team/project.git',
    'https://ann@git.example.com/team/project.git',
    'http://127.0.0.1:8080/a',
    'HTTPS://GIT.EXAMPLE.COM/A',
    'ssh://git@git.example.com:2222/team/project.git',
    'git://git.example.com/a.git',
    'file:///srv/git/a.git',
    'git@git.example.com:team/project.git',
    'git@[2001:db8::1]:team/project.git',
    'ann.b@host:~ann/a',
    '/srv/git/a project.git',
  ])('%s is fine', (address) => {
    expect(repositoryUrlProblem(address)).toBeUndefined();
  });

  it.each([
    'https://ann:secret@git.example.com/a.git',
    'https://:secret@git.example.com/a.git',
    'https://ann:%73ecret@git.example.com/a.git',
    'ssh://git:secret@git.example.com/a.git',
    'git://git:secret@git.example.com/a.git',
    'ann:secret@git.example.com:a.git',
    `https://ghp_${'x'.repeat(36)}@git.example.com/a.git`,
    'https://glpat-abcdefghij@git.example.com/a.git',
    `https://${'0123456789'.repeat(4)}@git.example.com/a.git`,
  ])('%s holds a secret', (address) => {
    expect(repositoryUrlProblem(address)).toMatch(/must not contain a password or token/);
  });

  it.each([
    '',
    'a/b',
    './a',
    '~/a',
    'C:\\a',
    'host:path',
    '--upload-pack=touch /tmp/x',
    '-x',
    'ext::sh -c id',
    'ext::https://git.example.com/a',
    'fd::7',
    'ftp://git.example.com/a',
    'javascript:alert(1)',
    'https://',
    'https:///a',
    'https://git.example.com/a b',
    'https://git.example.com\\@evil.example.com/a',
    'ssh://-oProxyCommand=id/a',
    'ssh://-oProxyCommand=id@host/a',
    '-oProxyCommand=id@host:a',
    'git@-host:a',
    'git@host:-a',
    'git@host::a',
    'git@host:',
    'git@host:a b',
    'file://server/share',
    'file://',
    '/a\nb',
    '/a\0b',
    '/a\ud800',
    `/${'a'.repeat(500)}`,
  ])('%j is refused', (address) => {
    expect(repositoryUrlProblem(address)).toMatch(/^must /);
  });

  it.each([[5], [null], [{}]])('%j is refused', (address) => {
    expect(repositoryUrlProblem(address)).toBe('must be a text');
  });

  it('never start with a dash nor hold a password, whatever they are', () => {
    const parts = fc.constantFrom(
      '-',
      'https://',
      'ssh://',
      'git',
      '@',
      ':',
      '/',
      'host',
      'a',
      '%3a',
      '[',
      ']',
      '\\',
      '?',
      '#',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 9 }), (pieces) => {
        const address = pieces.join('');
        if (repositoryUrlProblem(address) !== undefined) return;
        expect(address).not.toMatch(/^-/);
        if (URL.canParse(address)) expect(new URL(address).password).toBe('');
      }),
      { numRuns: 5_000 },
    );
  });
});
