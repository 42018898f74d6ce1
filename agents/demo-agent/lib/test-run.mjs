// Finds the repository's test command and runs it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Characters of output that are kept, the last ones: runners put their summary at the end. */
const MAX_OUTPUT = 262_144;
/** After the command has ended, how long something it left behind may hold the output open. Milliseconds. */
const LINGER_MS = 1_000;

/**
 * @typedef {{passed: boolean, timed_out: boolean, output: string, duration_ms: number, tests: number | null, failing: number | null}} TestRun
 * `tests` and `failing` are numbers of tests as the runner states them, if it does.
 */

/** The package's own test script, else Node's test runner. */
export function findTestCommand(cwd) {
  try {
    const script = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8')).scripts?.test;
    // npm puts a script that only fails into a new package.
    if (typeof script === 'string' && script.trim() && !script.includes('no test specified')) return script;
  } catch {
    // No package.json, or none that can be read: the test runner needs none.
  }
  return 'node --test';
}

/**
 * Runs the tests in a process group of their own, which ends with them.
 * @param {string} command for `sh -c`
 * @param {{cwd: string, timeout_ms: number, stop: AbortSignal, env?: Record<string, string>}} options
 * @returns {Promise<TestRun>}
 */
export function runTests(command, { cwd, timeout_ms, stop, env = {} }) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn('sh', ['-c', command], {
      cwd,
      env: { ...testEnvironment(cwd), ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let timedOut = false;
    const collect = (chunk) => (output = (output + chunk).slice(-MAX_OUTPUT));
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', collect);
    const killAll = () => killGroup(child.pid);
    const timer = setTimeout(() => {
      timedOut = true;
      killAll();
    }, timeout_ms);
    stop.addEventListener('abort', killAll);
    const settle = (code) => {
      clearTimeout(timer);
      stop.removeEventListener('abort', killAll);
      resolve({
        passed: code === 0 && !timedOut && !stop.aborted,
        timed_out: timedOut,
        output,
        duration_ms: performance.now() - started,
        tests: count(output, 'tests'),
        failing: count(output, 'fail'),
      });
    };
    child.on('error', reject);
    child.on('exit', (code) => {
      killAll();
      const linger = setTimeout(() => settle(code), LINGER_MS);
      child.on('close', () => {
        clearTimeout(linger);
        settle(code);
      });
    });
    if (stop.aborted) killAll();
  });
}

/** What the tests may see: nothing of the agent's own settings, nothing that makes a nested test runner behave oddly. */
function testEnvironment(cwd) {
  const hidden = /^(KANDEV_|DEMO_AGENT_|NODE_TEST_CONTEXT$|NODE_OPTIONS$|NODE_V8_COVERAGE$|FORCE_COLOR$)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !hidden.test(name)));
  const path = [join(cwd, 'node_modules', '.bin'), dirname(process.execPath), env.PATH ?? ''].join(delimiter);
  return { ...env, PATH: path, CI: '1', NO_COLOR: '1' };
}

function killGroup(pid) {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch {
    // All of the group have ended.
  }
}

/** A count in the closing lines of Node's runner, in either of its forms: `# fail 1`, `ℹ fail 1`. */
function count(output, what) {
  const match = new RegExp(`^(?:#|ℹ) ${what} (\\d+)$`, 'm').exec(output);
  return match ? Number(match[1]) : null;
}
