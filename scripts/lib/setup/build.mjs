import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { withLock } from './lock.mjs';
import { CLIENT_DIST, CLIENT_MAIN, DIST, MAIN, ROOT, childEnv } from './paths.mjs';
import { quietStep } from './quiet-step.mjs';

const SOURCES = [
  'src',
  'migrations',
  'nest-cli.json',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
];
const CLIENT_SOURCES = ['clients/typescript/src', 'clients/typescript/tsconfig.json', 'package-lock.json'];

/** @typedef {{ name: string, script: string, sources: string[], dist: string, main: string }} Part what is built */
const SERVER = { name: 'Building', script: 'build:dist', sources: SOURCES, dist: DIST, main: MAIN };
const CLIENT = {
  ...{ name: 'Building the client', script: 'build:client', sources: CLIENT_SOURCES },
  ...{ dist: CLIENT_DIST, main: CLIENT_MAIN },
};

/**
 * Builds the server and the TypeScript client where either is missing or its sources changed. Call
 * `ensureInstalled()` first.
 *
 * @param {{ client?: boolean, server?: boolean }} options false leaves that one as it is
 * @throws {SetupFailure} with the compiler's output when the build fails
 */
export async function ensureBuilt({ client = true, server = true } = {}) {
  const parts = [...(server ? [SERVER] : []), ...(client ? [CLIENT] : [])];
  if (!parts.every(isCurrent))
    await withLock(async () => {
      for (const part of parts) await build(part);
    });
}

/** @param {Part} part */
async function build(part) {
  if (isCurrent(part)) return;
  const hash = sourceHash(part);
  // What was left of a deleted source would still run: a dropped migration, for one.
  rmSync(part.dist, { recursive: true, force: true });
  await quietStep(part.name, 'npm', ['run', '--silent', part.script], childEnv());
  writeFileSync(stampOf(part), hash);
}

/** Hash of the sources that it was built from; written last, so that an interrupted build leaves none. */
const stampOf = (part) => join(part.dist, '.kandev-build-hash');

/** @param {Part} part */
function isCurrent(part) {
  const stamp = stampOf(part);
  return existsSync(part.main) && existsSync(stamp) && readFileSync(stamp, 'utf8') === sourceHash(part);
}

/** @param {Part} part */
function sourceHash({ sources }) {
  const hash = createHash('sha256');
  for (const file of sources.flatMap((source) => listFiles(join(ROOT, source)))) {
    hash.update(`${relative(ROOT, file)}\n`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** @returns {string[]} the file itself, or every file below the directory, in a fixed order */
function listFiles(path) {
  if (!existsSync(path)) return [];
  try {
    return readdirSync(path)
      .toSorted()
      .flatMap((name) => listFiles(join(path, name)));
  } catch (error) {
    if (error.code === 'ENOTDIR') return [path];
    throw error;
  }
}
