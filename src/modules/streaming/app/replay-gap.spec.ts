import { expect, it } from 'vitest';
import type { TimedMessage } from '../../agent/contracts/agent.queries.js';
import { goesOnAt } from './replay-gap.js';

const from = (first?: number): TimedMessage[] => (first === undefined ? [] : [{ seq: first } as TimedMessage]);

it.each([
  ['nothing was ever removed', { first: 1, kept: 1, last: 9 }, 0, 0, null],
  ['an earlier run is gone, this one is whole', { first: 50, kept: 20, last: 90 }, 0, 0, null],
  ['an earlier run lies before it', { first: 50, kept: 1, last: 90 }, 0, 0, null],
  ['its beginning is gone', { first: 50, kept: 50, last: 90 }, 0, 0, 50],
  ['its beginning was seen and is gone', { first: 50, kept: 50, last: 90 }, 49, 90, null],
  ['its middle goes while it is seen', { first: 50, kept: 50, last: 90 }, 30, 90, 50],
  ['more goes right after it was read', { first: 31, kept: 50, last: 90 }, 30, 90, null],
  ['its end goes while it is seen', { kept: 120, last: 0 }, 30, 90, 120],
  ['it was seen to its end, and is gone', { kept: 120, last: 0 }, 90, 90, null],
  ['all of it is gone', { kept: 120, last: 0 }, 0, 0, 120],
  ['it is at its end', { kept: 1, last: 90 }, 90, 90, null],
])('%s', (_, { first, kept, last }: { first?: number; kept: number; last: number }, position, known, expected) => {
  expect(goesOnAt({ messages: from(first), kept_from: kept, last_seq: last }, position, known)).toBe(expected);
});
