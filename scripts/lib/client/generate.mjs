import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@hey-api/openapi-ts';
import { ROOT } from '../setup/index.mjs';
import { buildDocument } from './document.mjs';

/**
 * Writes openapi.json into the directory.
 *
 * @param {string} directory
 */
export async function writeDocument(directory) {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'openapi.json'), `${JSON.stringify(await buildDocument(), undefined, 1)}\n`);
}

/**
 * Writes everything that is generated: the document, src/generated, and package.json with the API's version.
 *
 * @param {string} directory of the package, or of a copy of its package.json
 */
export async function generate(directory) {
  await writeDocument(directory);
  const output = join(directory, 'src/generated');
  rmSync(output, { recursive: true, force: true });
  await createClient({
    input: join(directory, 'openapi.json'),
    output: { path: output, module: { extension: '.js' } },
    logs: { level: 'error', file: false },
    plugins: [
      { name: '@hey-api/client-fetch', baseUrl: false, throwOnError: true },
      { name: '@hey-api/typescript' },
      {
        name: '@hey-api/sdk',
        responseStyle: 'data',
        operations: { strategy: 'single', containerName: 'KandevApi', methodName: '{{name}}' },
      },
    ],
  });
  setVersion(directory);
}

function setVersion(directory) {
  const file = join(directory, 'package.json');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, `${JSON.stringify({ ...manifest, version }, undefined, 2)}\n`);
}
