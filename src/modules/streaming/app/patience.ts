import { setTimeout as sleep } from 'node:timers/promises';

/** Waits between tries, in ms: the first one, twice as long each time, up to the longest. */
export interface Patience {
  retryMs: number;
  maxRetryMs: number;
}

/** Again and again until it works, or there is nobody to do it for. @throws AbortError once `gone` is aborted */
export async function patiently<T>(
  work: () => Promise<T>,
  { retryMs, maxRetryMs }: Patience,
  gone: AbortSignal,
  onFailed: (error: unknown) => void,
): Promise<T> {
  for (let wait = retryMs; ; wait = Math.min(2 * wait, maxRetryMs)) {
    try {
      return await work();
    } catch (error) {
      onFailed(error);
      await sleep(wait, undefined, { signal: gone, ref: false });
    }
  }
}
