#!/usr/bin/env node
/** `npm test`: sets up what is missing, then runs every check there is. See `npm test -- --help`. */
import { parseArgs } from 'node:util';
import { checkLauncher } from './build-launcher.mjs';
import { ensureBuilt, ensureInstalled, SetupFailure } from './lib/setup/index.mjs';
import { listTestLeftovers } from './lib/test/docker-leaks.mjs';
import { runCommand } from './lib/test/run-command.mjs';
import { runVitest } from './lib/test/run-vitest.mjs';
import { chooseSteps, STEPS } from './lib/test/steps.mjs';
import { printSummary, total } from './lib/test/summary.mjs';

const HELP = `npm test [-- --only STEP,STEP]

Installs and builds what is missing, then runs each step and goes on after a failed one:
${STEPS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}

The last line is "N passed, N failed", and ", N skipped" when any were; the exit code is 1 when any failed.
With CI=true a test that is skipped for want of a Docker engine has failed.
`;

const OK = { passed: 1, failed: 0, skipped: 0 };
const FAILED = { passed: 0, failed: 1, skipped: 0 };
const inCi = process.env.CI === 'true' || process.env.CI === '1';

const steps = readArguments();
if (steps) await main();

/** @returns {typeof STEPS | undefined} undefined when there is nothing more to do than what was printed */
function readArguments() {
  try {
    const { values } = parseArgs({ options: { only: { type: 'string' }, help: { type: 'boolean' } } });
    if (!values.help) return chooseSteps(values.only);
    console.log(HELP);
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  }
  return undefined;
}

async function main() {
  // Set-up is no check: it counts only when it fails.
  const results = [{ ...(await timed('setup', () => setUp(ensureInstalled))), passed: 0 }];
  if (results[0].failed === 0) {
    const before = await listTestLeftovers().catch(() => undefined);
    for (const step of steps) {
      const built = !results.some(({ name, failed }) => name === 'build' && failed > 0);
      results.push(await timed(step.name, () => runStep(step, built, before)));
    }
  }
  printSummary(results);
  process.exitCode = total(results).failed > 0 ? 1 : 0;
}

/** Runs one step under a headline. A step that throws has failed; the others still run. */
async function timed(name, work) {
  console.log(`\n── ${name} ${'─'.repeat(Math.max(0, 76 - name.length))}`);
  const started = performance.now();
  const result = await work().catch((error) => {
    console.error(error);
    return { ...FAILED, note: error.message };
  });
  return { name, ...result, seconds: (performance.now() - started) / 1000 };
}

async function runStep(step, built, before) {
  if (step.name === 'build') return setUp(buildAll);
  if (step.name === 'leaks') return checkLeaks(before);
  if (step.needsBuild && !built) return { ...FAILED, note: 'not run: the build failed' };
  if (step.npm) return (await runCommand('npm', ['run', '--silent', step.npm])) === 0 ? OK : FAILED;
  const result = await runVitest(step.vitest);
  if (!inCi || !step.engine || result.skipped === 0) return result;
  return { ...result, failed: result.failed + result.skipped, skipped: 0, note: 'skipped, which CI does not allow' };
}

/** The server, and a look whether the launcher's committed binaries are those of its source, where Go is here. */
async function buildAll() {
  await ensureBuilt();
  const launcher = checkLauncher();
  if (launcher === 'no-go') console.log('The launcher is not compared with its source: its version of Go is not here.');
  else if (launcher !== 'same') throw new SetupFailure(`Stale: ${launcher.join(', ')}. Run: npm run launcher`);
}

async function setUp(ensure) {
  try {
    await ensure();
    return OK;
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    console.error(error.message);
    return FAILED;
  }
}

async function checkLeaks(before) {
  const after = await listTestLeftovers();
  if (!after) return { passed: 0, failed: 0, skipped: 1, note: 'no Docker engine answers' };
  const leaks = [...after].filter(([id]) => !before?.has(id)).map(([, description]) => description);
  for (const leak of leaks) console.error(`Left behind: ${leak}`);
  return leaks.length === 0 ? OK : { ...FAILED, note: `${leaks.length} left behind` };
}
