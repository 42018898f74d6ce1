import { spawn } from 'node:child_process';
import { chown, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EmbeddedPostgresError, USE_YOUR_OWN, hasCode } from './errors.js';
import type { Server } from './server.js';
import { lastLines } from './server-log.js';
import type { SystemUser } from './system-user.js';
import { makeTemporary, removeTemporary } from './directories.js';

/** initdb takes 0.6 s on an idle machine; this is for one that is stuck. */
const LONGEST_MS = 120_000;

/** Defaults that users may change in the cluster's postgresql.conf. */
const SETTINGS = [
  'max_connections=100',
  'shared_buffers=128MB',
  'timezone=UTC',
  'log_timezone=UTC',
  // Rows of users (titles, mail addresses) stay out of the log, and failing statements do not blow it up.
  'log_error_verbosity=terse',
  'log_min_error_statement=panic',
  // The statements of a server that was killed end within this time, and their locks with them.
  'client_connection_check_interval=10s',
];

/**
 * Makes the cluster: UTF-8, PostgreSQL's own C.UTF-8 collation (the same order on every machine), scram-sha-256 for
 * everyone. All of it happens in a temporary sibling that becomes `server.data` by one rename; where another starter
 * was faster, his stays.
 */
export async function createCluster(server: Server): Promise<void> {
  const temporary = await makeTemporary(dirname(server.data));
  try {
    const passwordFile = join(temporary, 'password');
    await writeFile(passwordFile, `${server.password}\n`, { mode: 0o600, flag: 'wx' });
    if (server.user) await give(server.user, passwordFile, temporary);
    const data = join(temporary, 'data');
    await runInitdb(server, [
      `--pgdata=${data}`,
      '--username=kandev',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...SETTINGS.flatMap((setting) => ['--set', setting]),
    ]);
    await rename(data, server.data);
  } catch (error) {
    if (!hasCode(error, 'EEXIST', 'ENOTEMPTY')) throw error;
  } finally {
    await removeTemporary(temporary);
  }
}

async function give(user: SystemUser, ...paths: string[]): Promise<void> {
  for (const path of paths) await chown(path, user.uid, user.gid);
}

/** Throws if the cluster is of another major version than the binaries, which could not read it. */
export async function checkClusterVersion({ data, binaries }: Server): Promise<void> {
  const made = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim();
  const ours = binaries.version.split('.')[0];
  if (made === ours) return;
  throw new EmbeddedPostgresError(
    `The database in ${data} was made by PostgreSQL ${made}, and this Kandev brings PostgreSQL ${ours}. Dump it with ` +
      `the Kandev that made it (pg_dump), move the directory away, start again and restore the dump. ${USE_YOUR_OWN}`,
  );
}

async function runInitdb({ binaries, user, env, password }: Server, parameters: string[]): Promise<void> {
  const account = user ? { uid: user.uid, gid: user.gid } : {};
  const child = spawn(join(binaries.root, 'bin/initdb'), parameters, {
    ...account,
    env,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ending = await new Promise<string>((resolve, reject) => {
    child.once('error', (error) => reject(hasCode(error, 'ENOENT') ? cannotRun(error) : error));
    child.once('close', (code, signal) => resolve(code === 0 ? '' : (signal ?? `exit code ${code}`)));
  });
  if (!ending) return;
  throw new EmbeddedPostgresError(
    `PostgreSQL's initdb failed (${ending}). Its last words:\n${lastLines(output, password)}\n${USE_YOUR_OWN}`,
  );
}

function cannotRun(cause: Error): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    `The embedded PostgreSQL cannot run here: it needs glibc, which Alpine Linux does not have. ${USE_YOUR_OWN}`,
    { cause },
  );
}
