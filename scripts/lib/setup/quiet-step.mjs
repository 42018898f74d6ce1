import { spawn } from 'node:child_process';
import { SetupFailure } from './failure.mjs';
import { ROOT } from './paths.mjs';

/** How much of a failed command's output is kept: enough for any compiler, bounded for a runaway one. */
const KEPT_BYTES = 1024 * 1024;

/**
 * Runs a command behind one line of progress on stderr. Its output is shown in full only when it fails.
 *
 * @param {string} title what the line says, e.g. `Installing packages (npm ci)`
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @throws {SetupFailure} when the command can't start or exits with anything but 0
 */
export async function quietStep(title, command, args, env) {
  const started = Date.now();
  process.stderr.write(`${title} … `);
  const { code, output } = await capture(command, args, env);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stderr.write(code === 0 ? `${seconds} s\n` : 'failed\n');
  if (code !== 0) {
    throw new SetupFailure(`${output.trimEnd()}\n\n${title} failed (${command} ${args.join(' ')}, exit ${code}).`);
  }
}

/** @returns {Promise<{ code: number | string, output: string }>} */
function capture(command, args, env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-KEPT_BYTES);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => resolve({ code: error.code ?? 'unknown', output: output + error.message }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', output }));
  });
}
