import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { withLock } from './lock.mjs';
import { DIST, MAIN, ROOT, childEnv } from './paths.mjs';
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
/** Hash of the sources that dist was built from; written last, so that an interrupted build leaves none. */
const STAMP = join(DIST, '.kandev-build-hash');

/**
 * Builds dist when it is missing or its sources changed. Call `ensureInstalled()` first.
 *
 * @throws {SetupFailure} with the compiler's output when the build fails
 */
export async function ensureBuilt() {
  if (!isCurrent()) await withLock(build);
}

async function build() {
  if (isCurrent()) return;
  const hash = sourceHash();
  // What was left of a deleted source would still run: a dropped migration, for one.
  rmSync(DIST, { recursive: true, force: true });
  await quietStep('Building', 'npm', ['run', '--silent', 'build:dist'], childEnv());
  writeFileSync(STAMP, hash);
}

const isCurrent = () => existsSync(MAIN) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === sourceHash();

function sourceHash() {
  const hash = createHash('sha256');
  for (const file of SOURCES.flatMap((source) => listFiles(join(ROOT, source)))) {
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
