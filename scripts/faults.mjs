#!/usr/bin/env node
/** `npm run faults`: installs and builds what is missing, then runs a suite of fault tests. See `--help`. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { childEnv, ensureBuilt, ensureInstalled, nodeBinary, ROOT, runMain } from './lib/setup/index.mjs';

/** Node runs the sources of the tests as they are. */
const TYPESCRIPT = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning'];

await runMain(async () => {
  const args = process.argv.slice(2);
  await ensureInstalled();
  if (args.length > 0 && !args.includes('--help')) await ensureBuilt();
  // A process group of its own: one Ctrl-C from the terminal reaches us twice, and what we started through us only.
  const child = spawn(
    nodeBinary(),
    [...TYPESCRIPT, '--import', join(ROOT, 'bench/lib/ts-imports.mjs'), join(ROOT, 'test/faults/suites.ts'), ...args],
    { env: childEnv(), stdio: 'inherit', detached: true },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill('SIGTERM'));
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
});
