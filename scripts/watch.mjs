#!/usr/bin/env node
/** `npm run watch -- TASK_ID`: installs and builds what is missing, then shows a task's stream in the terminal. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { childEnv, ensureBuilt, ensureInstalled, nodeBinary, ROOT, runMain } from './lib/setup/index.mjs';

await runMain(async () => {
  await ensureInstalled();
  await ensureBuilt({ server: false });
  // The view itself uses the Node that this project runs on.
  const main = join(ROOT, 'scripts/lib/watch/main.mjs');
  const child = spawn(nodeBinary(), [main, ...process.argv.slice(2)], { env: childEnv(), stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
});
