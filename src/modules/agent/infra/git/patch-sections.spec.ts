import { once } from 'node:events';
import { expect, it } from 'vitest';
import { readChanges } from './diff-list.js';
import { BatchObjects } from './batch-objects.js';
import { PatchSections } from './patch-sections.js';

const PATCH = 'diff --git a/x b/x\n@@\n-diff --git a/y b/y\n+ü\ndiff --git a/y b/y\n+no newline';

it.each([1, 3, 7, 1000])('a patch is cut into files, whatever pieces it comes in (%i)', async (size) => {
  const found: string[] = [];
  const sections = new PatchSections(
    (index, part) => void (found[index] = (found[index] ?? '') + part.toString('latin1')),
  );
  const bytes = Buffer.from(PATCH);
  for (let at = 0; at < bytes.length; at += size) sections.write(bytes.subarray(at, at + size));
  sections.end();
  await once(sections, 'finish');
  const second = PATCH.indexOf('diff --git a/y', PATCH.indexOf('ü'));
  expect(found.map((text) => Buffer.from(text, 'latin1').toString())).toEqual([
    PATCH.slice(0, second),
    PATCH.slice(second),
  ]);
});

it.each([1, 5, 1000])('objects are told apart, whatever pieces they come in (%i)', async (size) => {
  const found: string[] = [];
  let ended = 0;
  const objects = new BatchObjects({
    begin: () => void found.push(''),
    part: (part) => void (found[found.length - 1] += part.toString()),
    end: () => void ended++,
  });
  const bytes = Buffer.from('aa blob 3\na\nb\nbb blob 0\n\ncc blob 1\nx\n');
  for (let at = 0; at < bytes.length; at += size) objects.write(bytes.subarray(at, at + size));
  objects.end();
  await once(objects, 'finish');
  expect(found).toEqual(['a\nb', '', 'x']);
  expect(ended).toBe(3);
});

it('changes are read with names that hold anything', () => {
  const raw = [':100644 100644 a b M', 'a\tb', ':100644 100644 a b R090', 'old', 'new', ':000000 100644 0 b A', 'bin'];
  const counts = ['1\t2\ta\tb', '3\t4\t', 'old', 'new', '-\t-\tbin', ''];
  expect(readChanges([...raw, ...counts])).toMatchObject([
    { path: 'a\tb', status: 'modified', additions: 1, deletions: 2 },
    { path: 'new', old_path: 'old', status: 'renamed', additions: 3, deletions: 4 },
    { path: 'bin', status: 'added', binary: true },
  ]);
});
