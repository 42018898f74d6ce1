import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_LOOK_MS = 100;
const LOOK_EVERY_MS = 500; // a gigabyte a second would be 500 MB over: the caps are of that order

/** Bytes of all files below a directory of ours; what vanishes meanwhile counts for nothing. */
export async function directorySize(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  let total = 0;
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) total += await directorySize(path);
    else if (entry.isFile()) total += (await lstat(path).catch(() => ({ size: 0 }))).size;
  }
  return total;
}

/**
 * Works while a directory grows by no more than `maxBytes`. The signal that `work` gets aborts with what `tooLarge`
 * makes when it does, or with the reason of `signal`.
 */
export async function whileSmall<T>(
  directory: string,
  maxBytes: number,
  options: { signal: AbortSignal; tooLarge: () => Error },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const before = await directorySize(directory);
  const over = new AbortController();
  const done = new AbortController();
  const watch = async (): Promise<void> => {
    for (let wait = FIRST_LOOK_MS; !done.signal.aborted && !over.signal.aborted; wait = LOOK_EVERY_MS) {
      await sleep(wait, undefined, { signal: done.signal }).catch(() => undefined);
      if ((await directorySize(directory)) - before > maxBytes) over.abort(options.tooLarge());
    }
  };
  const watching = watch();
  try {
    return await work(AbortSignal.any([options.signal, over.signal]));
  } finally {
    done.abort();
    await watching;
  }
}
