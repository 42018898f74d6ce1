import { spawnSync } from 'node:child_process';
import { SetupFailure } from './failure.mjs';

const OLDEST_NODE = 20;

/**
 * Checks what has to be on the machine before anything can be installed.
 *
 * @throws {SetupFailure} in one sentence, when something is missing
 */
export function checkMachine() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < OLDEST_NODE) {
    throw new SetupFailure(
      `Kandev needs Node ${OLDEST_NODE} or newer to install itself (it brings the Node it runs on); this is ${process.version}.`,
    );
  }
  if (spawnSync('git', ['--version']).status !== 0) {
    throw new SetupFailure('Kandev needs git to check out repositories. Install it (Debian: apt-get install git).');
  }
}
