import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkMachine } from './machine.mjs';
import { withLock } from './lock.mjs';
import { nodeBinary } from './node-binary.mjs';
import { NODE_MODULES, ROOT, outsideEnv } from './paths.mjs';
import { quietStep } from './quiet-step.mjs';

const LOCK_FILE = join(ROOT, 'package-lock.json');
/** npm's own record of what it installed; written last, so that an interrupted install leaves none. */
const NPM_RECORD = join(NODE_MODULES, '.package-lock.json');
/** Which package-lock.json node_modules was last seen to match. */
const STAMP = join(NODE_MODULES, '.kandev-lock-hash');

/**
 * Makes node_modules what package-lock.json says. Does nothing (in milliseconds) when it already is.
 *
 * @throws {SetupFailure} when the machine lacks something, or npm fails
 */
export async function ensureInstalled() {
  checkMachine();
  if (!isCurrent()) await withLock(install);
  nodeBinary();
}

async function install() {
  // Whoever held the lock before may have done it.
  if (isCurrent()) return;
  if (!matchesRecord()) {
    // Building needs the tools also where NODE_ENV=production would leave them out.
    await quietStep('Installing packages (npm ci)', 'npm', ['ci', '--include=dev', '--loglevel=error'], outsideEnv());
  }
  writeFileSync(STAMP, lockHash());
}

const isCurrent = () => existsSync(NPM_RECORD) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lockHash();

/** Optional packages for other platforms are the only ones that may be absent after somebody's own `npm ci`. */
function matchesRecord() {
  if (!existsSync(NPM_RECORD)) return false;
  const wanted = JSON.parse(readFileSync(LOCK_FILE, 'utf8')).packages;
  const installed = JSON.parse(readFileSync(NPM_RECORD, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { integrity, optional }]) => {
    if (path === '') return true;
    return installed[path] ? installed[path].integrity === integrity : Boolean(optional);
  });
}

function lockHash() {
  return createHash('sha256')
    .update(`${process.platform} ${process.arch}\n`)
    .update(readFileSync(LOCK_FILE))
    .digest('hex');
}
