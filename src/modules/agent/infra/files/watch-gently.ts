import { watch, type FSWatcher } from 'node:fs';

// Each event is a call of some microseconds in the server's own thread: these take a twentieth of it at most. Output
// that comes faster is read without being told of it.
const MAX_EVENTS = 100;
const WITHIN_MS = 20;
const REST_MS = 20; // as long as nothing is told then, whatever was written

/**
 * Tells of changes in a directory, but of no flood of them: whoever may write there can make a million events a second.
 * Returns what ends it. May tell nothing: out of watches, or the directory is gone.
 */
export function watchGently(directory: string, onChange: () => void): () => void {
  let watcher: FSWatcher | undefined;
  let rest: NodeJS.Timeout | undefined;
  let since = 0;
  let events = 0;
  const pause = (): void => {
    watcher?.close(); // what the kernel has noted already is dropped with it
    watcher = undefined;
    rest = setTimeout(start, REST_MS).unref();
    onChange();
  };
  const changed = (): void => {
    if (!watcher) return;
    const now = performance.now();
    if (now - since > WITHIN_MS) [since, events] = [now, 0];
    if (++events > MAX_EVENTS) return pause();
    onChange();
  };
  const start = (): void => {
    events = 0;
    try {
      const fresh = watch(directory, { persistent: false }, changed);
      fresh.on('error', () => fresh.close());
      watcher = fresh;
      onChange(); // for what has changed while nobody looked
    } catch {
      // the watcher's own slow look serves
    }
  };
  start();
  return () => {
    clearTimeout(rest);
    watcher?.close();
    watcher = undefined;
  };
}
