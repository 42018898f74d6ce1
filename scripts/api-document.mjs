#!/usr/bin/env node
/** `npm run api-document`: writes the API document of the built server to clients/typescript/openapi.json. */
import { CLIENT } from './lib/client/paths.mjs';
import { ensureBuilt, ensureInstalled, runMain } from './lib/setup/index.mjs';

await runMain(async () => {
  await ensureInstalled();
  await ensureBuilt({ client: false });
  const { writeDocument } = await import('./lib/client/generate.mjs'); // with packages that were perhaps just installed
  await writeDocument(CLIENT);
});
