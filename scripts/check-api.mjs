#!/usr/bin/env node
/** `npm run api`: the client's generated files are those of the server's code, and the API document has no faults. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from './lib/client/generate.mjs';
import { lintDocument } from './lib/client/lint.mjs';
import { CLIENT } from './lib/client/paths.mjs';

const directory = mkdtempSync(join(tmpdir(), 'kandev-client-'));
try {
  cpSync(join(CLIENT, 'package.json'), join(directory, 'package.json'));
  await generate(directory);
  const stale = differences(directory);
  for (const file of stale) console.error(`clients/typescript/${file} is not what the server's code says.`);
  if (stale.length > 0) console.error('Run: npm run client');
  const faults = await lintDocument(join(directory, 'openapi.json'));
  process.exitCode = stale.length > 0 || faults ? 1 : 0;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function differences(fresh) {
  const files = new Set([...generatedFiles(fresh), ...generatedFiles(CLIENT)]);
  return [...files].filter((file) => read(join(fresh, file)) !== read(join(CLIENT, file))).toSorted();
}

function generatedFiles(root) {
  const below = readdirSync(join(root, 'src/generated'), { recursive: true, withFileTypes: true });
  const generated = below.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return ['openapi.json', 'package.json', ...generated.map((file) => file.slice(root.length + 1))];
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // one side lacks it
  }
}
