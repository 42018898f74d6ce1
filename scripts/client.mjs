#!/usr/bin/env node
/** `npm run client`: generates clients/typescript from the server's code, and builds it. */
import { CLIENT } from './lib/client/paths.mjs';
import { ensureBuilt, ensureInstalled, runMain } from './lib/setup/index.mjs';
import { runCommand } from './lib/test/run-command.mjs';

await runMain(async () => {
  await ensureInstalled();
  await ensureBuilt({ client: false }); // what is about to change
  const { generate } = await import('./lib/client/generate.mjs'); // with packages that were perhaps just installed
  await generate(CLIENT);
  process.exitCode = await runCommand('npm', ['run', '--silent', 'build:client']);
});
