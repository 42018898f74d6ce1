import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000; // an engine that is back is noticed within this

/** Stops an agent: again and again, less and less often, until that has worked or is not wanted any more. Never throws. */
export async function stopUntil(
  stop: () => Promise<void>,
  isWanted: () => boolean,
  firstPauseMs = FIRST_PAUSE_MS,
): Promise<void> {
  for (let pause = firstPauseMs; isWanted(); pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
    try {
      return await stop();
    } catch {
      await sleep(pause, undefined, { ref: false }); // an engine that is away shows elsewhere, too
    }
  }
}
