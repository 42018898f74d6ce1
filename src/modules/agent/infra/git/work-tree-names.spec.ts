import { describe, expect, it } from 'vitest';
import { EMPTY_FOLDER, escapeName, isLikeGit, quotePath, unescapeName } from './work-tree-names.js';

const NAMES = [
  '.git',
  '.GIT',
  '.git ',
  '.git.',
  'git~1',
  '.g\u200cit',
  'a\\.git',
  '.git%kandev',
  '%kandev',
  '.gitmodules',
  '.gitattributes',
  'plain',
  '',
];

describe('names', () => {
  it.each(NAMES.filter(Boolean))('%j comes back, and is nothing that git fears', (name) => {
    const escaped = escapeName(Buffer.from(name), false);
    expect(unescapeName(escaped).toString()).toBe(name);
    expect(isLikeGit(escaped)).toBe(false);
    expect(escaped.equals(EMPTY_FOLDER)).toBe(false);
  });

  it('never meet', () => {
    const escaped = NAMES.map((name) => escapeName(Buffer.from(name), false).toString());
    expect(new Set(escaped).size).toBe(NAMES.length);
  });

  it('of files that are as they were checked out stay', () => {
    expect(escapeName(Buffer.from('.gitmodules'), true).toString()).toBe('.gitmodules');
    expect(escapeName(Buffer.from('.git'), true).toString()).toBe('.git%kandev');
  });

  it('that are no UTF-8 come back too', () => {
    const name = Buffer.concat([Buffer.from([0xff, 0x2e]), EMPTY_FOLDER]);
    expect(unescapeName(escapeName(name, false)).equals(name)).toBe(true);
  });

  it('are quoted for git', () => {
    expect(quotePath(Buffer.from('a"b\\c\nd')).toString('latin1')).toBe('"a\\"b\\\\c\\012d"');
    expect(quotePath(Buffer.from([0xff])).equals(Buffer.from([0x22, 0xff, 0x22]))).toBe(true);
  });
});
