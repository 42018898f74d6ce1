#!/usr/bin/env node
/**
 * `npm run demo`: from nothing to an agent that repairs a repository before your eyes, on a database and in
 * directories of its own. `-- --keep` leaves the server running.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { childEnv, ensureBuilt, ensureInstalled, nodeBinary, ROOT, runMain } from './lib/setup/index.mjs';

const HELP = `npm run demo [-- --keep]

Installs and builds what is missing, starts a server of its own on a free port with an embedded PostgreSQL, makes a
small git repository with a failing test, puts a task on a board, and lets the demo agent repair it: in a container
where a Docker engine answers, as a local process where none does.

  --keep   leave the server running, and say how to reach and how to stop it
`;

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    console.log(HELP);
    return;
  }
  const unknown = args.find((arg) => arg !== '--keep');
  if (unknown) {
    console.error(`demo: unknown option ${unknown}\n\n${HELP}`);
    process.exitCode = 2;
    return;
  }
  await ensureInstalled();
  await ensureBuilt();
  // The demo itself uses installed packages and the Node they ask for.
  const child = spawn(nodeBinary(), [join(ROOT, 'scripts/lib/demo/main.mjs'), ...args], {
    env: childEnv(),
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
});
