import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { inTurn } from './attempt-turn.js';
import { TaskLocks } from './task-locks.js';

const TASK = 'task';
let locks: TaskLocks;
let told: string[];
let leaving: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  locks = new TaskLocks();
  told = [];
  leaving = new AbortController();
});

afterEach(() => {
  vi.useRealTimers();
});

const prepare = (work: () => Promise<string>) =>
  inTurn({ locks, taskId: TASK }, (message) => told.push(message), leaving.signal, work);

it('prepares at once where nobody is at work, and says nothing', async () => {
  expect(await prepare(() => Promise.resolve('prepared'))).toBe('prepared');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual([]);
});

it('waits for whoever is at work, and says so after a second', async () => {
  const rescue = Promise.withResolvers<void>();
  const before = locks.exclusively(TASK, () => rescue.promise);
  const done = prepare(() => Promise.resolve('prepared'));
  await vi.advanceTimersByTimeAsync(999);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual(['waiting for the workspace']);
  rescue.resolve();
  await before;
  expect(await done).toBe('prepared');
});

it('leaves at once when it is aborted, and does nothing when its turn comes', async () => {
  const rescue = Promise.withResolvers<void>();
  const before = locks.exclusively(TASK, () => rescue.promise);
  const work = vi.fn(() => Promise.resolve('prepared'));
  const done = prepare(work);
  leaving.abort(new Error('stopped'));
  await expect(done).rejects.toThrow('stopped');
  rescue.resolve();
  await before;
  await locks.exclusively(TASK, () => Promise.resolve());
  expect(work).not.toHaveBeenCalled();
});

it('lets the next one in after work that has failed', async () => {
  await expect(prepare(() => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
  expect(await prepare(() => Promise.resolve('prepared'))).toBe('prepared');
});
