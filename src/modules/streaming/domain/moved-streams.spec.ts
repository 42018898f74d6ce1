import { describe, expect, it } from 'vitest';
import { MovedStreams, readMoves, type StreamMove } from './moved-streams.js';

const MAX_BYTES = 7_900;
const move = (first: number, last: number, task_id: string = crypto.randomUUID()): StreamMove => ({
  ...{ task_id, first, last },
});

function taken(...moves: StreamMove[]): string[] {
  const moved = new MovedStreams();
  for (const each of moves) moved.note(each);
  const texts = moved.take(MAX_BYTES);
  expect(moved.isEmpty).toBe(true);
  return texts;
}

describe('streams that have moved', () => {
  it('are told once each, from the first message to the last', () => {
    const [a, b] = [move(3, 4), move(1, 1)];
    const [text = '', ...more] = taken(a, b, move(5, 9, a.task_id), move(7, 7, a.task_id));
    expect(more).toEqual([]);
    expect(readMoves(text)).toEqual([{ ...a, last: 9 }, b]);
  });

  it('fit into texts of a size, and are all of them beyond a thousand', () => {
    const moves = Array.from({ length: 1_000 }, () => move(999_999, 1_000_000));
    const texts = taken(...moves);
    expect(Math.max(...texts.map((text) => Buffer.byteLength(text)))).toBeLessThanOrEqual(MAX_BYTES);
    expect(texts.flatMap((text): unknown => readMoves(text))).toEqual(moves);
    const all = taken(...moves, ...Array.from({ length: 1_000 }, () => move(1, 1)));
    expect(all.map(readMoves)).toEqual(['all']);
  });

  it('are left out where they are not understood', () => {
    const known = move(1, 2);
    const text = `v2 ${known.task_id}:1-2 ${known.task_id}:1 ${known.task_id}:0-5 x:1-2 `;
    expect(readMoves(text)).toEqual([known]);
    expect(readMoves('')).toEqual([]);
  });
});
