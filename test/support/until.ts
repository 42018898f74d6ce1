import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_POLL_MS = 20;
const LAST_POLL_MS = 100;
/** What takes long is asked for less often: a tenth of the time more at the most, and the asked have time to work. */
const SHARE = 10;

/**
 * Asks until the answer is something (not undefined, null or false) and returns it.
 * @throws Error naming `what`, with the last error, after `limitMs`
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  limitMs = 30_000,
): Promise<T> {
  let lastError: unknown;
  const begun = Date.now();
  for (let waited = 0; waited < limitMs; waited = Date.now() - begun) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
    } catch (error) {
      lastError = error;
    }
    await sleep(Math.min(LAST_POLL_MS, Math.max(FIRST_POLL_MS, (Date.now() - begun) / SHARE)));
  }
  throw new Error(`waited ${limitMs} ms in vain for: ${what}`, { cause: lastError });
}
