import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from './errors.js';
import { pidExists } from './processes.js';

/** How long a lock file may stay without a pid: its writer needs a moment, a writer that died needs for ever. */
const UNREADABLE_MS = 5_000;

/** PostgreSQL's `postmaster.pid`: who holds the data directory, on which TCP port, and in which status (`ready` …). */
export interface LockFile {
  text: string;
  pid: number;
  port: number;
  status: string;
}

const pathOf = (dataDirectory: string): string => join(dataDirectory, 'postmaster.pid');

/** Reads the lock file: pid, data directory, start time, port, socket directory, address, shared memory key, status. */
export async function readLockFile(dataDirectory: string): Promise<LockFile | null> {
  try {
    const text = await readFile(pathOf(dataDirectory), 'utf8');
    const lines = text.split('\n');
    return { text, pid: Number(lines[0]), port: Number(lines[3]), status: lines[7]?.trim() ?? '' };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/**
 * Removes a lock file whose pid is not a postmaster of this directory, in the cases that PostgreSQL cannot decide by
 * itself: the pid belongs to another program or to a zombie, or was never written. Should somebody have started in the
 * meantime, the file is his and goes back. (Even without the file two servers never share a directory: the second
 * finds the shared memory of the first in use and gives up.)
 */
export async function removeStaleLockFile(dataDirectory: string, stale: LockFile): Promise<void> {
  const path = pathOf(dataDirectory);
  const unreadable = !stale.pid;
  if (!unreadable && !pidExists(stale.pid)) return; // also a negative one: somebody's single-user session
  if (unreadable && Date.now() - (await modifiedAt(path)) < UNREADABLE_MS) return;
  const aside = `${path}.stale-${randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await readFile(aside, 'utf8')) !== stale.text) await link(aside, path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EEXIST')) throw error;
  }
  await rm(aside, { force: true });
}

async function modifiedAt(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Date.now(),
  );
}
