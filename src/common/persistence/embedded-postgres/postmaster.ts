import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedPostgresError, hasCode } from './errors.js';
import { isPostmasterOf } from './processes.js';
import type { Server } from './server.js';
import { openServerLog, readServerLog } from './server-log.js';

/** A postmaster that we have started, whether or not it came to hold the data directory. */
export interface Launch {
  pid: number;
  ended: boolean;
  /** The signal that ended it, if one did. */
  signal: NodeJS.Signals | null;
  /** What it has logged so far. */
  output(): Promise<string>;
}

/** Endings that another try may mend: somebody took the port, or holds (or has not cleaned up) the data directory. */
const TRANSIENT =
  /could not create any TCP\/IP sockets|lock file ".*"( already exists| is empty|: No such file)|pre-existing shared memory block/;

const ENDED_BY_OTHERS = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT']);

/**
 * Whether a postmaster that has ended met something that will not go away by itself. Only its own lines count: the log
 * also has those of other starters. Ended without a complaint, somebody has ended it.
 */
export async function hasFailed(launch: Launch): Promise<boolean> {
  const own = (await launch.output()).split('\n').filter((line) => line.includes(` [${launch.pid}] `));
  if (launch.signal && ENDED_BY_OTHERS.has(launch.signal)) return false;
  if (own.length === 0) return true; // it never got so far as to log
  return own.some((line) => /FATAL|PANIC/.test(line) && !TRANSIENT.test(line));
}

/**
 * Starts a postmaster on a free port of 127.0.0.1, in a session of its own and with its log for stdio, so that neither
 * Ctrl-C in our terminal nor our death ends it. The command line overrules postgresql.conf in what must hold.
 */
export async function launchPostmaster(server: Server): Promise<Launch> {
  const port = await findFreePort();
  const { file, from } = await openServerLog(server.logFile);
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'logging_collector=off',
    'log_destination=stderr',
    'log_line_prefix=%m [%p] ',
    'lc_messages=C',
  ];
  const account = server.user ? { uid: server.user.uid, gid: server.user.gid } : {};
  try {
    const parameters = ['-D', server.data, ...settings.flatMap((setting) => ['-c', setting])];
    const child = spawn(join(server.binaries.root, 'bin/postgres'), parameters, {
      ...account,
      env: server.env,
      cwd: '/',
      detached: true,
      stdio: ['ignore', file.fd, file.fd],
    });
    const output = (): Promise<string> => readServerLog(server.logFile, from);
    const launch: Launch = { pid: child.pid ?? 0, ended: false, signal: null, output };
    child.once('exit', (_code, signal) => Object.assign(launch, { ended: true, signal }));
    child.unref();
    await once(child, 'spawn');
    return launch;
  } finally {
    await file.close();
  }
}

/**
 * Ends a postmaster and waits until it is gone: a fast shutdown (SIGINT: sessions are cut, all is written), and if that
 * hangs an immediate one (SIGQUIT: the next start recovers from the log).
 */
export async function endPostmaster(pid: number, dataDirectory: string): Promise<void> {
  const steps = [
    { signal: 'SIGINT', longestMs: 30_000 },
    { signal: 'SIGQUIT', longestMs: 10_000 },
  ] as const;
  for (const { signal, longestMs } of steps) {
    if (!(await isPostmasterOf(pid, dataDirectory))) return;
    sendSignal(pid, signal);
    for (const deadline = Date.now() + longestMs; Date.now() < deadline; await delay(20)) {
      if (!(await isPostmasterOf(pid, dataDirectory))) return;
    }
  }
  throw new EmbeddedPostgresError(`PostgreSQL (pid ${pid}) in ${dataDirectory} does not end. Look at it: ps ${pid}`);
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error; // gone by itself since we looked
  }
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
