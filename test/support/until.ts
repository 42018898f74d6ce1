import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 25;

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
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(POLL_MS)) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
    } catch (error) {
      lastError = error;
    }
  }
  throw new Error(`waited ${limitMs} ms in vain for: ${what}`, { cause: lastError });
}
