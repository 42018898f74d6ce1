#!/usr/bin/env node
/**
 * `npm start`: installs and builds what is missing, then runs the server until it is told to stop.
 * Arguments are the server's own; `--help` lists the environment variables it reads.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { childEnv, ensureBuilt, ensureInstalled, MAIN, nodeBinary, runMain } from './lib/setup/index.mjs';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'];
/** One Ctrl-C reaches us twice, from the terminal and from npm. To the server a second signal means "force". */
const SAME_SIGNAL_MS = 1000;

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log('npm start: installs and builds what is missing, then runs the server until SIGTERM or Ctrl-C.\n');
  }
  await ensureInstalled();
  await ensureBuilt({ client: false });
  await runServer(args);
});

/** Ends this process the way the server ended. */
function runServer(args) {
  // A process group of its own: signals from the terminal come through us, once.
  const server = spawn(nodeBinary(), ['--enable-source-maps', MAIN, ...args], {
    env: childEnv(),
    stdio: 'inherit',
    detached: true,
  });
  let lastSignalAt = 0;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (Date.now() - lastSignalAt < SAME_SIGNAL_MS) return;
      lastSignalAt = Date.now();
      server.kill(signal);
    });
  }
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.on('exit', (code, signal) => {
      process.exitCode = signal ? 128 + constants.signals[signal] : code;
      resolve();
    });
  });
}
