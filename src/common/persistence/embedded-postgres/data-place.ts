import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readlink, realpath, stat, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { makeOpenDirectory } from './directories.js';
import { EmbeddedPostgresError, USE_YOUR_OWN, hasCode } from './errors.js';
import { canAccess, pickSystemUser, runsAsRoot } from './system-user.js';
import type { SystemUser } from './system-user.js';

/** Where a directory of ours keeps its cluster, and the account that owns it (null: our own). */
export interface DataPlace {
  /** The caller's directory: password, log, and `data` or a link to it. */
  home: string;
  data: string;
  exists: boolean;
  user: SystemUser | null;
}

/**
 * Finds where the cluster of `directory` is, or is to be made: in `directory/data`; or, where we are root and the
 * server's account cannot get there, in `systemDirectory/<hash>/data`, with `directory/data` a link to it, so that
 * the cluster is still found after `directory` was moved.
 */
export async function findDataPlace(directory: string, systemDirectory: string): Promise<DataPlace> {
  const home = await makeHome(directory);
  const here = join(home, 'data');
  const kind = await lstat(here).catch(() => null);
  if (kind?.isSymbolicLink()) return linkedPlace(home, resolve(home, await readlink(here)));
  if (kind && (await entriesOf(here)).length > 0) return existingPlace(home, here);
  if (!runsAsRoot()) return { home, data: here, exists: false, user: null };
  const user = await pickSystemUser();
  if (await canAccess(user, { execute: [home] })) return { home, data: here, exists: false, user };
  const name = createHash('sha256').update(home).digest('hex').slice(0, 12);
  const data = join(await makeSystemPlace(systemDirectory, name, user), 'data');
  return (await hasCluster(data)) ? existingPlace(home, data) : { home, data, exists: false, user };
}

/** Once the cluster is there: leaves the link in `home`, unless the cluster lies in `home` itself. */
export async function linkDataPlace({ home, data }: DataPlace): Promise<void> {
  if (dirname(data) === home) return;
  await symlink(data, join(home, 'data')).catch((error: unknown) => {
    if (!hasCode(error, 'EEXIST')) throw error;
  });
}

async function makeHome(directory: string): Promise<string> {
  await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
  // As root another account has to pass through; what lies in it is closed by its own modes.
  await mkdir(directory, { mode: runsAsRoot() ? 0o711 : 0o700 }).catch((error: unknown) => {
    if (!hasCode(error, 'EEXIST')) throw error;
  });
  return realpath(directory);
}

async function makeSystemPlace(systemDirectory: string, name: string, user: SystemUser): Promise<string> {
  const place = join(systemDirectory, name);
  for (const path of [systemDirectory, place]) {
    await makeOpenDirectory(path).catch((error: Error) => {
      throw refused(path, user, error.message, error);
    });
  }
  if (await canAccess(user, { execute: [place] })) return place;
  throw refused(place, user, 'that account cannot reach it');
}

function refused(path: string, user: SystemUser, why: string, cause?: unknown): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    `As root, PostgreSQL runs as user "${user.name}", who can neither enter KANDEV_HOME nor ${path} (${why}). ` +
      `Run Kandev as an ordinary user, or set KANDEV_HOME to a directory that others may pass. ${USE_YOUR_OWN}`,
    { cause },
  );
}

async function linkedPlace(home: string, data: string): Promise<DataPlace> {
  if (await hasCluster(data)) return existingPlace(home, data);
  throw new EmbeddedPostgresError(
    `The database of ${home} was kept in ${data}, and is gone from there. ` +
      `Restore it, or remove the link ${join(home, 'data')} to begin with an empty database.`,
  );
}

async function existingPlace(home: string, data: string): Promise<DataPlace> {
  if (!(await hasCluster(data))) {
    throw new EmbeddedPostgresError(`${data} is not empty and holds no database. Move it away.`);
  }
  if (!runsAsRoot()) return { home, data, exists: true, user: null };
  const user = await pickSystemUser((await stat(data)).uid);
  if (await canAccess(user, { execute: [data] })) return { home, data, exists: true, user };
  throw new EmbeddedPostgresError(
    `PostgreSQL runs as user "${user.name}", who cannot reach the database in ${data}: ` +
      'a directory above it is closed to others. Open it (chmod o+x), or run Kandev as an ordinary user.',
  );
}

/** A cluster is put in place by one rename when it is whole: where this file is, all of it is. */
async function hasCluster(data: string): Promise<boolean> {
  return (await entriesOf(data)).includes('PG_VERSION');
}

async function entriesOf(data: string): Promise<string[]> {
  try {
    return await readdir(data);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    if (!hasCode(error, 'EACCES')) throw error;
    throw new EmbeddedPostgresError(
      `The database in ${data} belongs to another user. Start Kandev as the user who started it first.`,
    );
  }
}
