import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupFailure } from './failure.mjs';
import { ROOT } from './paths.mjs';

const key = createHash('sha256').update(`${process.getuid?.()}:${ROOT}`).digest('hex').slice(0, 16);
// Outside node_modules and dist, which the holder of the lock replaces.
const LOCK = join(tmpdir(), `kandev-setup-${key}.lock`);
const PID_FILE = join(LOCK, 'pid');

const POLL_MS = 200;
/** An install on a slow line takes minutes; who waits longer than this waits for something that hangs. */
const GIVE_UP_MS = 15 * 60 * 1000;
/** Between `mkdir` and the pid being written lie microseconds; a lock without a pid after this was abandoned. */
const PID_GRACE_MS = 5000;

/**
 * Lets one set-up at a time work on this directory; a second one waits for the first to finish.
 * The lock of a process that died is taken over.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(work) {
  await acquire();
  try {
    return await work();
  } finally {
    release();
  }
}

async function acquire() {
  const deadline = Date.now() + GIVE_UP_MS;
  let told = false;
  while (!tryAcquire()) {
    if (isAbandoned()) {
      release();
      continue;
    }
    if (!told) process.stderr.write('Waiting for another set-up of this directory to finish …\n');
    told = true;
    if (Date.now() > deadline) throw new SetupFailure(`Another set-up holds ${LOCK}. If none is running, remove it.`);
    await sleep(POLL_MS);
  }
}

function tryAcquire() {
  try {
    mkdirSync(LOCK);
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
  writeFileSync(PID_FILE, String(process.pid));
  return true;
}

function isAbandoned() {
  const pid = holder();
  return pid > 0 ? !isAlive(pid) : ageMs() > PID_GRACE_MS;
}

/** @returns {number} 0 when nobody has signed the lock (yet, or any more) */
function holder() {
  try {
    return Number(readFileSync(PID_FILE, 'utf8'));
  } catch {
    return 0;
  }
}

function ageMs() {
  try {
    return Date.now() - statSync(LOCK).mtimeMs;
  } catch {
    return 0; // released meanwhile
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function release() {
  rmSync(LOCK, { recursive: true, force: true });
}
