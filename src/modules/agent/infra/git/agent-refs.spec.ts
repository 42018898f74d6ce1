import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { headCommit, isRefName, readAgentRefs } from './agent-refs.js';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const ZERO = '0'.repeat(40);
let root: string;
const put = (path: string, content: string) => {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), content);
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kandev-refs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('refs of an agent', () => {
  it('are read from files, packs and logs', async () => {
    put('.git/HEAD', 'ref: refs/heads/main\n');
    put('.git/refs/heads/main', `${A}\n`);
    put('.git/packed-refs', `# pack-refs\n${B} refs/heads/main\n${B} refs/tags/v1\n^${A}\n`);
    put('.git/refs/stash', `${B}\n`);
    put(
      '.git/logs/refs/stash',
      `${ZERO} ${'c'.repeat(40)} x <x> 0 +0000\tone\n${'c'.repeat(40)} ${B} x <x> 0 +0000\ttwo\n`,
    );
    const refs = await readAgentRefs(root);
    expect(headCommit(refs)).toBe(A);
    expect(Object.fromEntries(refs.refs)).toEqual({
      'refs/heads/main': A,
      'refs/tags/v1': B,
      'refs/stash': B,
      'refs/heads/kandev-unnamed/1': 'c'.repeat(40),
    });
  });

  it('that are traps are nothing', async () => {
    put('.git/HEAD', 'ref: ../../etc/passwd\n');
    put('.git/refs/heads/-x', A);
    put('.git/refs/heads/long', `${A}${A}`);
    symlinkSync('/etc/passwd', join(root, '.git/refs/heads/link'));
    execFileSync('mkfifo', [join(root, '.git/packed-refs'), join(root, '.git/refs/heads/fifo')]);
    const refs = await readAgentRefs(root);
    expect(refs).toMatchObject({ head: null, refused: null });
    expect(refs.refs.size).toBe(0);
  });

  it.each([
    'refs/heads/a..b',
    'refs/heads/.x',
    'refs/heads/x.lock',
    'refs/heads/-x',
    'refs/heads/a b',
    'HEAD',
    'refs/heads/x\n',
  ])('%j is no name', (name) => expect(isRefName(name)).toBe(false));
});
