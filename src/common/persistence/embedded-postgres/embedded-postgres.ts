import { join, resolve } from 'node:path';
import { findPackage, prepareBinaries } from './binaries.js';
import { bringUp } from './bring-up.js';
import { checkClusterVersion, createCluster } from './cluster.js';
import { findDataPlace, linkDataPlace } from './data-place.js';
import type { DataPlace } from './data-place.js';
import { removeLeftovers } from './directories.js';
import { EmbeddedPostgresError, USE_YOUR_OWN } from './errors.js';
import { makePassword, readPassword } from './password-file.js';
import { RunningServer } from './running-server.js';
import type { EmbeddedPostgres } from './running-server.js';
import { SERVER_ENVIRONMENT } from './server.js';
import type { Server } from './server.js';

export { EmbeddedPostgresError } from './errors.js';
export type { EmbeddedPostgres } from './running-server.js';

export interface EmbeddedPostgresOptions {
  /** Everything of this server is kept here: password, log, cluster (`data`). Made if absent. */
  directory: string;
  /** Hears a few words of progress, without secrets. */
  log: (message: string) => void;
  /** Takes, where we run as root, what the server's account could not reach elsewhere. */
  systemDirectory?: string;
}

/**
 * Starts PostgreSQL on the cluster in `directory` (made at the first start), or adopts the one that runs there, and
 * sees that it has the database `kandev`. It listens on 127.0.0.1 alone, wants a password, and outlives our process
 * until `stop()`. Any number of processes may call this for one directory at the same time: they share one server.
 * Throws `EmbeddedPostgresError` with what to do, and the end of PostgreSQL's log where that helps.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    const server = await prepare(options);
    const { presence, adopted } = await bringUp(server);
    const where = `PostgreSQL ${presence.version} on 127.0.0.1:${presence.port}`;
    server.log(adopted ? `${where} (it was running already)` : where);
    return new RunningServer(server, presence, adopted);
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EmbeddedPostgresError(
      `The embedded PostgreSQL in ${options.directory} could not be started: ${reason}. ${USE_YOUR_OWN}`,
      { cause: error },
    );
  }
}

/** Sees to binaries, password and cluster: all that a start needs and a running server has. */
async function prepare({ directory, log, systemDirectory = '/var/lib/kandev' }: EmbeddedPostgresOptions) {
  const found = await findPackage();
  const place = await findDataPlace(resolve(directory), systemDirectory);
  const server: Server = {
    ...place,
    binaries: await prepareBinaries(found, place.user, place.user ? systemDirectory : place.home),
    password: await obtainPassword(place),
    logFile: join(place.home, 'postgres.log'),
    env: SERVER_ENVIRONMENT,
    log,
  };
  for (const parent of new Set([place.home, join(place.data, '..')])) await removeLeftovers(parent);
  if (!place.exists) {
    log(`creating the database cluster in ${place.data}`);
    await createCluster(server);
  }
  await linkDataPlace(place);
  await checkClusterVersion(server);
  return server;
}

async function obtainPassword({ home, data, exists }: DataPlace): Promise<string> {
  const path = join(home, 'password');
  const password = await readPassword(path);
  if (password) return password;
  if (!exists) return makePassword(home, path);
  throw new EmbeddedPostgresError(
    `${path} is missing, and without it the database in ${data} cannot be opened. ` +
      `Restore the file, or remove ${data} to begin with an empty database. ${USE_YOUR_OWN}`,
  );
}
