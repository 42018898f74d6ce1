import type { ProgressReport } from '../domain/container-runtime.js';
import type { TaskLocks } from './task-locks.js';

const TOLD_AFTER_MS = 1_000; // what is over sooner nobody needs to read

/**
 * Prepares a task's workspace when nobody else works in it; who has to wait is told. An abort ends the waiting at once:
 * the place in the queue stays, and nothing is done when its turn comes. Work that has begun ends by itself.
 * @throws the signal's reason; what `work` throws
 */
export async function inTurn<T>(
  { locks, taskId }: { locks: TaskLocks; taskId: string },
  report: ProgressReport,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const turn = Promise.withResolvers<void>();
  const onAbort = (): void => turn.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => report('waiting for the workspace'), TOLD_AFTER_MS);
  const done = locks.exclusively(taskId, async () => {
    signal.throwIfAborted();
    turn.resolve();
    return work();
  });
  done.catch(() => undefined); // awaited below, unless nobody waits any more
  try {
    await turn.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
  return done;
}
