import { describe, expect, it } from 'vitest';
import { wireJson } from '../../../common/acp/stored-message.js';
import type { StreamEntry } from '../domain/stream-entry.js';
import { StreamFrame } from '../domain/stream-frame.js';
import { GlobalIds, MAX_POSITIONS, TASK_IDS } from './sse-ids.js';

const task = (n: number): string => `019ac1a5-7c1e-7000-8000-${String(n).padStart(12, '0')}`;
const AGENT = task(999);

function entry(taskId: string, seq: number): StreamEntry {
  const data = JSON.stringify({ task_id: task(777), message: 'two\nlines' });
  const of = { type: 'log', timestamp: '2026-01-09T10:30:15.000Z', agent_id: AGENT, run_id: AGENT } as const;
  return { seq, type: 'log', level: 'info', json: wireJson({ ...of, task_id: taskId, seq }, data) };
}

const frame = (...entries: [number, number][]) => new StreamFrame(entries.map(([n, seq]) => entry(task(n), seq)));
const idsOf = (text: string): string[] => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id!);

describe('the ids of one task', () => {
  it('are the numbers of its messages, and events are made once for all readers', () => {
    const both = frame([1, 5], [1, 7]);
    const text = String(TASK_IDS.encode(both));
    expect(idsOf(text)).toEqual(['5', '7']);
    expect(text.match(/^data: /gm)).toHaveLength(2);
    expect(TASK_IDS.encode(both)).toBe(TASK_IDS.encode(both));
    expect(TASK_IDS.at(task(1), 9)).toBe('id: 9\n');
  });
});

describe('the ids of the global stream', () => {
  it('hold the place in every task, exactly as of their event', () => {
    const ids = new GlobalIds({ [task(3)]: 30 });
    ids.begin([
      { task_id: task(3), head_seq: 99 },
      { task_id: task(4), head_seq: 4 },
    ]);
    expect(ids.current).toBe(`${task(3)}:30,${task(4)}:4`);
    expect(idsOf(ids.encode(frame([1, 5], [1, 6], [2, 1], [3, 31])))).toEqual([
      `${task(3)}:30,${task(4)}:4,${task(1)}:5`,
      `${task(3)}:30,${task(4)}:4,${task(1)}:6`,
      `${task(3)}:30,${task(4)}:4,${task(1)}:6,${task(2)}:1`,
      `${task(4)}:4,${task(1)}:6,${task(2)}:1,${task(3)}:31`,
    ]);
    expect(ids.at(task(4), 8)).toBe(`id: ${task(1)}:6,${task(2)}:1,${task(3)}:31,${task(4)}:8\n`);
  });

  it('hold no more tasks than there is room for: those that spoke last', () => {
    const ids = new GlobalIds();
    const heads = Array.from({ length: MAX_POSITIONS + 1 }, (_, n) => ({ task_id: task(n), head_seq: n }));
    ids.begin(heads);
    expect(ids.current).toBe(''); // some of them would be a promise that is not kept for the others
    const spoken = heads.map(({ head_seq }): [number, number] => [head_seq, 1]);
    const last = idsOf(ids.encode(frame(...spoken))).at(-1);
    expect(last?.split(',')).toEqual(heads.slice(1).map(({ task_id }) => `${task_id}:1`));
    expect(ids.current).toBe(last);
  });
});
