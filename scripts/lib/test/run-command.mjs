import { spawn } from 'node:child_process';
import { childEnv, ROOT } from '../setup/index.mjs';

/** A step that takes longer than this hangs. The slowest takes a few minutes. */
const STEP_LIMIT_MS = 20 * 60 * 1000;

/**
 * Runs one of the project's tools with its output on ours.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} env adds to our own
 * @returns {Promise<number>} the exit code; 1 when it was killed or could not start
 */
export function runCommand(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: childEnv(env),
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: STEP_LIMIT_MS,
    });
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.on('exit', (code, signal) => {
      if (signal) console.error(`${command} was ended by ${signal}.`);
      resolve(code ?? 1);
    });
  });
}
