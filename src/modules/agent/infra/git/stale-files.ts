import { lstat, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** A lock that others than the holder of our own may have: git holds one for milliseconds. */
const FOREIGN_LOCK_MS = 60_000;

/**
 * Removes what a killed git has left in a repository of ours and what would stop the next one. Only for the holder of
 * the repository's fetch lock: nobody else fetches into it, or packs it.
 */
export async function clearAfterKill(gitDir: string): Promise<void> {
  const packs = join(gitDir, 'objects/pack');
  for (const name of await readdir(packs).catch(() => [])) {
    const path = join(packs, name);
    // Half a pack; and a mark that would keep a whole one from ever being packed with others.
    const isLeft = name.startsWith('tmp_') || (name.endsWith('.keep') && (await isFetchMark(path)));
    if (isLeft) await rm(path, { force: true });
  }
  await rm(join(gitDir, 'shallow.lock'), { force: true });
  await removeLocks(join(gitDir, 'refs/remotes'), 0);
  await removeLocks(join(gitDir, 'refs/tags'), 0);
  await clearOldLocks(gitDir);
}

/** Removes locks of git's that are so old that their holder is gone. */
export async function clearOldLocks(gitDir: string): Promise<void> {
  for (const name of ['packed-refs.lock', 'packed-refs.new', 'config.lock', 'HEAD.lock'])
    await removeIfOlder(join(gitDir, name), FOREIGN_LOCK_MS);
  await removeLocks(join(gitDir, 'refs/kandev'), FOREIGN_LOCK_MS);
}

async function removeLocks(directory: string, olderThanMs: number): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (entry.isFile() && entry.name.endsWith('.lock'))
      await removeIfOlder(join(entry.parentPath, entry.name), olderThanMs);
  }
}

async function removeIfOlder(path: string, ms: number): Promise<void> {
  const age = await lstat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => undefined,
  );
  if (age !== undefined && age >= ms) await rm(path, { force: true });
}

async function isFetchMark(path: string): Promise<boolean> {
  return (await readFile(path, 'utf8').catch(() => '')).startsWith('fetch-pack');
}
