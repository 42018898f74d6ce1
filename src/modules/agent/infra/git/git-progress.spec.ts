import { describe, expect, it } from 'vitest';
import { parseProgress, progressListener } from './git-progress.js';

describe('a line of git', () => {
  it.each([
    [
      'Receiving objects:  42% (420/1000)',
      'Receiving objects',
      { percent: 42, objects_done: 420, objects_total: 1000 },
    ],
    [
      'Receiving objects: 100% (1000/1000), 1.50 MiB | 600.00 KiB/s, done.',
      'Receiving objects',
      { percent: 100, objects_done: 1000, objects_total: 1000, bytes_received: 1_572_864 },
    ],
    [
      'remote: Counting objects:   1% (1/100)   ',
      'Counting objects',
      { percent: 1, objects_done: 1, objects_total: 100 },
    ],
    ['Resolving deltas:   0% (0/7)', 'Resolving deltas', { percent: 0, objects_done: 0, objects_total: 7 }],
  ])('%s', (line, phase, details) => expect(parseProgress(line)).toEqual({ phase, details }));

  it.each(['fatal: no', 'remote: Enumerating objects: 5, done.', '', 'Receiving objects: many', 'a: 5% (1/2)'])(
    'that is no progress: %j',
    (line) => expect(parseProgress(line)).toBeNull(),
  );
});

it('tells of each phase when it begins, about every second, and when it is done', () => {
  const told: string[] = [];
  let now = 0;
  const hear = progressListener(
    'x',
    (message, details) => told.push(`${message} ${details?.percent}`),
    () => now,
  );
  for (const percent of [0, 10, 20]) hear(`Receiving objects: ${percent}% (${percent}/100)`);
  now = 1_000;
  for (const percent of [30, 40, 100, 100]) hear(`Receiving objects: ${percent}% (${percent}/100)`);
  hear('Resolving deltas:   0% (0/7)');
  expect(told).toEqual([
    'x: receiving objects 0',
    'x: receiving objects 30',
    'x: receiving objects 100',
    'x: resolving deltas 0',
  ]);
});
