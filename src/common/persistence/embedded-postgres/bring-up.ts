import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedPostgresError, USE_YOUR_OWN } from './errors.js';
import { readLockFile, removeStaleLockFile } from './lock-file.js';
import { hasFailed, launchPostmaster } from './postmaster.js';
import type { Launch } from './postmaster.js';
import { Presence } from './presence.js';
import { isPostmasterOf } from './processes.js';
import { lastLines, readServerLog } from './server-log.js';
import type { Server } from './server.js';

/** For a server that cannot be started or reached; and for one that lives and is busy (recovery, a shutdown). */
const LONGEST_MS = { stuck: 30_000, busy: 600_000 };
const POLL_MS = 20;
const RETRY_MS = 200;

/**
 * Joins the postmaster of the data directory, or starts one: each round looks at the lock file anew, so it does not
 * matter who else starts, stops or kills one at the same time. `adopted`: somebody else has started it.
 */
export async function bringUp(server: Server): Promise<{ presence: Presence; adopted: boolean }> {
  const begin = Date.now();
  let launch: Launch | null = null;
  let obstacle = 'it does not answer';
  let said = false;
  for (;;) {
    const lock = await readLockFile(server.data);
    const lives = lock !== null && (await isPostmasterOf(lock.pid, server.data));
    if (lives && lock.status === 'ready') {
      const joined = await join(server, lock.port);
      if (joined instanceof Presence) return { presence: joined, adopted: launch?.pid !== lock.pid };
      obstacle = joined;
    } else if (lives) {
      obstacle = `it is ${lock.status || 'starting'}`;
    } else if (!launch || launch.ended) {
      if (launch) {
        if (await hasFailed(launch)) throw failure(server, 'PostgreSQL ended at once', await launch.output());
        obstacle = 'its data directory or its port is in use';
        await delay(RETRY_MS);
      }
      if (lock) await removeStaleLockFile(server.data, lock);
      launch = await launchPostmaster(server);
    }
    const waited = Date.now() - begin;
    const longest = lives && lock.status !== 'ready' ? LONGEST_MS.busy : LONGEST_MS.stuck;
    if (waited > longest) {
      const output = launch ? await launch.output() : await readServerLog(server.logFile, 0);
      throw failure(server, `PostgreSQL could not be started within ${longest / 1000} s: ${obstacle}`, output);
    }
    if (waited > 3_000 && !said) server.log(`waiting for PostgreSQL: ${obstacle}`);
    said ||= waited > 3_000;
    await delay(POLL_MS);
  }
}

/** Joins the server on `port` and sees to its database, or tells why not, if that may pass. */
async function join(server: Server, port: number): Promise<Presence | string> {
  let presence: Presence | null = null;
  try {
    presence = await Presence.join(server, port);
    await presence.ensureDatabase('kandev');
    return presence;
  } catch (error) {
    await presence?.leave();
    if (error instanceof EmbeddedPostgresError) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

function failure(server: Server, what: string, output: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    `${what}. Data: ${server.data}. The end of its log (${server.logFile}):\n` +
      `${lastLines(output, server.password)}\nMend what it complains of and start again. ${USE_YOUR_OWN}`,
  );
}
