import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

const TRIES = 10;

/** git's own daemon, for its own protocol, on loopback. */
export interface GitDaemon {
  port: number;
  stop(): void;
}

/**
 * Starts one over the repositories below `root`. It can't choose a port by itself, and one that is free now may be
 * somebody else's a moment later: so it is tried until it has one.
 */
export async function startGitDaemon(
  root: string,
  options: string[],
  env: Record<string, string> = {},
): Promise<GitDaemon> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = await freePort();
    const listen = ['--export-all', '--listen=127.0.0.1', `--port=${port}`, '--verbose', ...options, root];
    const daemon = spawn('/bin/sh', ['-c', 'exec "$(git --exec-path)/git-daemon" "$@"', 'x', ...listen], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    });
    let said = '';
    daemon.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = once(daemon, 'exit');
    while (!said.includes('Ready') && daemon.exitCode === null) {
      await Promise.race([once(daemon.stderr, 'data'), ended]);
    }
    if (said.includes('Ready')) return { port, stop: () => void daemon.kill() };
  }
  throw new Error('git-daemon has found no port');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
