#!/usr/bin/env node
/** `npm run agent-check -- IMAGE`: installs and builds what is missing, then runs an image against the contract. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { childEnv, DIST, ensureBuilt, ensureInstalled, nodeBinary, runMain } from './lib/setup/index.mjs';

await runMain(async () => {
  await ensureInstalled();
  await ensureBuilt({ client: false });
  const check = spawn(nodeBinary(), [join(DIST, 'src/agent-check.js'), ...process.argv.slice(2)], {
    env: childEnv(),
    stdio: 'inherit',
  });
  // The terminal's Ctrl-C reaches both; this one waits for the other to clean up.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => check.kill(signal));
  await new Promise((resolve, reject) => {
    check.on('error', reject);
    check.on('exit', (code, signal) => {
      process.exitCode = signal ? 128 + constants.signals[signal] : code;
      resolve();
    });
  });
});
