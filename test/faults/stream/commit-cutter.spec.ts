import { describe, expect, it } from 'vitest';
import { commitCutter, type CutPlace } from '../../support/commit-cutter.js';

/** A message of the protocol: its type, its length, its text. */
function message(type: string, text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + Buffer.byteLength(text));
  return Buffer.concat([Buffer.from(type), length, Buffer.from(text)]);
}

const STARTUP = message('', 'user\0commit\0');
const REPLY = message('C', 'COMMIT\0');

function cutter(place: CutPlace | undefined, commitsItself?: RegExp) {
  const seen = { cuts: 0, commits: 0 };
  const decide = (): CutPlace | undefined => {
    seen.commits++;
    return place;
  };
  return { seen, ...commitCutter(() => seen.cuts++, decide, commitsItself) };
}

describe('the cutter of commits', () => {
  it('finds a simple query and a statement that is parsed, and nothing else', () => {
    const { up, seen } = cutter(undefined);
    for (const bytes of [STARTUP, message('Q', 'select 1\0'), message('P', '\0insert into t\0')]) up(bytes);
    expect(seen.commits).toBe(0);
    for (const bytes of [message('Q', 'COMMIT\0'), message('P', 'name\0commit\0')]) expect(up(bytes)).toBe(bytes);
    expect(seen).toEqual({ cuts: 0, commits: 1 });
    for (const name of ['', 'name', 'name']) up(message('B', `\0${name}\0`));
    expect(seen.commits).toBe(3);
  });

  it('finds a statement that commits by itself, each time it is executed', () => {
    const { up, seen } = cutter(undefined, /insert into t/);
    for (const bytes of [STARTUP, message('P', 'a\0insert into t\0'), message('P', 'b\0select\0')]) up(bytes);
    for (const name of ['a', 'b', 'a']) up(message('B', `\0${name}\0`));
    expect(seen.commits).toBe(2);
  });

  it('finds it in bytes that are cut anywhere', () => {
    const { up, seen } = cutter(undefined);
    const bytes = Buffer.concat([STARTUP, message('Q', 'begin\0'), message('Q', 'commit\0')]);
    for (const byte of bytes) up(Buffer.of(byte));
    expect(seen.commits).toBe(1);
  });

  it('cuts before: the commit does not go on', () => {
    const { up, seen } = cutter('before');
    up(STARTUP);
    expect(up(message('Q', 'commit\0'))).toHaveLength(0);
    expect(seen.cuts).toBe(1);
  });

  it('cuts after: the commit goes on, and its answer does not come back', () => {
    const { up, down, seen } = cutter('after');
    up(STARTUP);
    expect(down(REPLY)).toBe(REPLY);
    expect(up(message('Q', 'commit\0')).length).toBeGreaterThan(0);
    expect(seen.cuts).toBe(0);
    expect(down(REPLY)).toHaveLength(0);
    expect(seen.cuts).toBe(1);
  });
});
