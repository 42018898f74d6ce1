import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeTornCopies } from './torn-copies.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kandev-artifacts-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

it('removes what nobody has written to for an hour, and nothing else', async () => {
  const folder = join(directory, 'task');
  mkdirSync(folder);
  const longAgo = new Date(Date.now() - 2 * 3_600_000);
  for (const name of ['.partial-old', '.partial-new', 'kept']) writeFileSync(join(folder, name), 'x');
  for (const name of ['.partial-old', 'kept']) utimesSync(join(folder, name), longAgo, longAgo);
  await removeTornCopies(directory);
  expect(readdirSync(folder).toSorted()).toEqual(['.partial-new', 'kept']);
});

it('minds no directory that is not there', async () => {
  await expect(removeTornCopies(join(directory, 'none'))).resolves.toBeUndefined();
});
