import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childEnv, MAIN, nodeBinary } from '../setup/index.mjs';

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

/** Starts a server on a home below `directory` and a free port; resolves when it listens. */
export async function startServer(directory, { process_runtime }) {
  const home = join(directory, 'home');
  const log = join(directory, 'server.log');
  const output = openSync(log, 'a', 0o600);
  const server = spawn(nodeBinary(), ['--enable-source-maps', MAIN], {
    detached: true, // Ctrl-C ends the demo, and the demo ends the server
    stdio: ['ignore', output, output],
    env: {
      ...withoutSettings(childEnv()),
      KANDEV_HOME: home,
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: '0',
      KANDEV_ALLOW_LOCAL_REPOSITORIES: 'true',
      KANDEV_ALLOW_PROCESS_RUNTIME: String(process_runtime),
      LOG_FORMAT: 'text',
      ...(process.env.DOCKER_HOST ? { DOCKER_HOST: process.env.DOCKER_HOST } : {}),
    },
  });
  closeSync(output);
  const logTail = () => readFileSync(log, 'utf8').split('\n').slice(-30).join('\n');
  const address = join(home, 'server.json');
  for (const deadline = Date.now() + START_LIMIT_MS; !existsSync(address); await sleep(50)) {
    if (server.exitCode !== null) throw new Error(`the server did not start:\n${logTail()}`);
    if (Date.now() > deadline)
      throw new Error(`the server did not listen within ${START_LIMIT_MS / 1000} s:\n${logTail()}`);
  }
  const { url, pid } = JSON.parse(readFileSync(address, 'utf8'));
  return { url, pid, logTail, stop: () => stop(server), leave: () => server.unref() };
}

async function stop(server) {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  const late = setTimeout(() => server.kill('SIGKILL'), STOP_LIMIT_MS);
  await gone;
  clearTimeout(late);
}

/** The demo is the same on every machine: settings meant for another server do not reach its own. */
function withoutSettings(env) {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) =>
        !/^(KANDEV_|DB_|SERVER_|LOG_|AUTH_|DOCKER_|DATABASE_URL$|JWT_SECRET$|TOKEN_DURATION$|REFRESH_TOKEN_DURATION$)/.test(
          name,
        ),
    ),
  );
}
