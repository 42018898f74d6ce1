import { describe, expect, it } from 'vitest';
import { readLsRemote } from './remote-tip.js';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);

describe('what a remote has', () => {
  it.each([
    [
      'the default branch',
      `ref: refs/heads/trunk\tHEAD\n${A}\tHEAD\n${B}\trefs/remotes/origin/HEAD\n`,
      null,
      { kind: 'branch', name: 'trunk', object: A },
    ],
    ['a HEAD on no branch', `${A}\tHEAD\n`, null, { kind: 'detached', name: null, object: A }],
    [
      'a branch',
      `${A}\trefs/heads/x\n`,
      'x',
      { kind: 'branch', remote_ref: 'refs/heads/x', ref: 'refs/remotes/origin/x', object: A },
    ],
    ['a tag', `${B}\trefs/tags/x\n${A}\trefs/tags/x^{}\n`, 'x', { kind: 'tag', ref: 'refs/tags/x', object: B }],
    ['both', `${A}\trefs/heads/x\n${B}\trefs/tags/x\n`, 'x', { kind: 'branch', object: A }],
    ['SHA-256', `${'c'.repeat(64)}\trefs/heads/x\n`, 'x', { object: 'c'.repeat(64) }],
  ])('%s', (_, answer, branch, found) => expect(readLsRemote(answer, branch)).toMatchObject(found));

  it.each([
    ['nothing', '', null],
    ['a longer name', `${A}\trefs/heads/other/refs/heads/x\n`, 'x'],
    ['no object', `nonsense\trefs/heads/x\n`, 'x'],
    ['a HEAD that leads nowhere', `ref: refs/heads/main\tHEAD\n`, null],
  ])('%s is none', (_, answer, branch) => expect(readLsRemote(answer, branch)).toBeUndefined());
});
