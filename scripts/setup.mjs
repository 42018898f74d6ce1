#!/usr/bin/env node
/** `npm run setup`: installs the packages and builds the server, as far as either is not yet done. */
import { ensureBuilt, ensureInstalled, nodeBinary, runMain } from './lib/setup/index.mjs';

await runMain(async () => {
  await ensureInstalled();
  await ensureBuilt();
  console.log(`Ready. Kandev runs on ${nodeBinary()}.`);
});
