import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100; // nobody tells another process; a clone takes longer than that anyway

/** The last in the queue for each lock; of the whole process, as the files name no more than that. */
const queues = new Map<string, Promise<void>>();

/**
 * Locks of paths, within this process and against others of the same home. A lock is a file that names its process:
 * one whose process is gone counts for nothing, so a kill leaves nothing to clear away.
 */
export class FileLocks {
  /** Works while nobody else holds the lock of `path`. Waits for its turn, until `signal` aborts. */
  async with<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const before = queues.get(path) ?? Promise.resolve();
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const mine = before.then(() => done);
    queues.set(path, mine);
    try {
      await orAborted(before, signal);
      return await this.against(path, signal, work);
    } finally {
      finish(); // whoever waits behind one that has given up waits for those before it all the same
      if (queues.get(path) === mine) queues.delete(path);
    }
  }

  /** The same if it is free at once; undefined if not. */
  async tryWith<T>(path: string, work: () => Promise<T>): Promise<T | undefined> {
    if (queues.has(path) || (await isHeld(path))) return undefined;
    return this.with(path, new AbortController().signal, work);
  }

  private async against<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const file = `${path}.${process.pid}-${crypto.randomUUID()}`;
    await writeFile(file, await identity(process.pid), { mode: 0o600 });
    try {
      while (!(await take(file, path))) {
        await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
        signal.throwIfAborted();
      }
    } finally {
      await rm(file, { force: true });
    }
    try {
      return await work();
    } finally {
      await rm(path, { force: true });
    }
  }
}

/** Links the file to the lock's name, which fails where there is one; one of a process that is gone is moved away. */
async function take(file: string, path: string): Promise<boolean> {
  try {
    await link(file, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (await isHeld(path)) return false;
  const stale = `${file}.stale`;
  await rename(path, stale).catch(() => undefined);
  // Somebody faster may have taken the lock between our look and our move: it goes back.
  if (await isHeld(stale)) await link(stale, path).catch(() => undefined);
  await rm(stale, { force: true });
  return false;
}

/** Whether the lock's process is alive. Of our own only those count that we hold, and whoever asks holds none. */
async function isHeld(path: string): Promise<boolean> {
  const holder = await readFile(path, 'utf8').catch(() => '');
  const pid = Number(holder.split(' ', 1)[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  return holder === (await identity(pid));
}

/** Number and start of a process: the number alone is given again. Empty where there is no such process. */
async function identity(pid: number): Promise<string> {
  if (process.platform !== 'linux') return isAlive(pid) ? String(pid) : '';
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name of the program may hold blanks and brackets; the start is the 22nd field, the 20th behind the name.
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return started === undefined ? '' : `${pid} ${started}`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
