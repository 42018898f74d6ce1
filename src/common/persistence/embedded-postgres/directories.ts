import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from './errors.js';
import { pidExists } from './processes.js';

/** Nothing that fills a temporary directory is given longer than this: an older one is a leftover. */
const OLDEST_MS = 3 * 60_000;
const NAME = /^\.kandev-(\d+)-/;

/** A new empty directory (0700) beside the thing it will become, so that one rename puts that thing in place. */
export async function makeTemporary(parent: string): Promise<string> {
  return mkdtemp(join(parent, `.kandev-${process.pid}-`));
}

/** Removes a temporary directory. One that resists is left for a later start: it is never trusted anyway. */
export async function removeTemporary(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
}

/** Removes what starters that were killed have left in `parent`. Those of a starter at work now are spared. */
export async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(NAME.exec(name)?.[1] ?? 0);
    if (!pid) continue;
    const path = join(parent, name);
    const madeAt = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if (!pidExists(pid) || Date.now() - madeAt > OLDEST_MS) await removeTemporary(path);
  }
}

/** Makes a directory that every account may pass and read (0755 whatever the umask). One that exists stays as it is. */
export async function makeOpenDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
    await chmod(path, 0o755);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
}
