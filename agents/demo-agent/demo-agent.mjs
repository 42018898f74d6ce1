// The demo agent: runs the tests of the checkout it stands in, and repairs the code by trying small changes.
// It is told how to behave by the container contract in ../README.md, and needs nothing but Node.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Channel, listenForControl } from './lib/channel.mjs';
import { writeLoad } from './lib/load.mjs';
import { candidatesFor, search } from './lib/repair.mjs';
import { renderReport, unifiedDiff } from './lib/report.mjs';
import { findSuspects } from './lib/suspects.mjs';
import { readTask } from './lib/task.mjs';
import { findTestCommand, runTests } from './lib/test-run.mjs';

/** The first run may have to compile or to warm up; a candidate's is measured by it. */
const FIRST_RUN_MS = 120_000;
const CANDIDATE_RUN_MS = 3_000;
/** The whole search. */
const SEARCH_MS = 600_000;

const task = readTask(process.env);
const cwd = process.cwd();
const paceMs = Number(process.env.KANDEV_DEMO_PACE_MS || 0);
const channel = new Channel(task, process.stdout);
const stopping = new AbortController();
const stop = stopping.signal;

/** @returns {Promise<{status: 'completed' | 'failed', summary: string, artifacts: {type: string, path: string}[]}>} */
async function work() {
  await channel.send('status', { status: 'running', message: `Started on "${task.title || 'an untitled task'}"` });
  await writeLoad(channel, process.env, stop);
  await progress(2, `Looking at ${describeCheckout()}`);

  const command = findTestCommand(cwd);
  await progress(5, `Running the tests: ${command}`);
  const { before, suspects } = await firstRun(command);
  if (stop.aborted) return failure('Stopped before the tests had ended.');
  if (before.tests === 0)
    return failure(`There is no test that \`${command}\` would run: nothing tells what is wrong.`);
  if (before.passed) return finish({ command, before, outcome: 'All tests pass: there is nothing to repair.' });
  const failing = before.failing ? `${before.failing} failing` : before.timed_out ? 'no end in sight' : 'a failure';
  await channel.log('warn', `The tests ended with ${failing}`, { duration_ms: Math.round(before.duration_ms) });

  const candidates = candidatesFor(suspects);
  const files = suspects.map(({ path }) => path);
  await progress(10, `Suspecting ${files.length} source file(s): ${candidates.length} small changes to try`);
  for (const path of files) await channel.log('info', `Suspect: ${path}`);

  const timeout_ms = Math.max(CANDIDATE_RUN_MS, 10 * before.duration_ms);
  const { fix, run, tried } = await search(candidates, {
    cwd,
    stop: AbortSignal.any([stop, AbortSignal.timeout(SEARCH_MS)]),
    test: () => runTests(command, { cwd, timeout_ms, stop }),
    onStart: (candidate, index) => {
      const place = `${candidate.path}:${candidate.line}`;
      const percent = 10 + Math.floor((80 * index) / candidates.length);
      const message = `Try ${index + 1} of ${candidates.length}: ${place} ${describe(candidate)}`;
      const seen = new Set(candidates.slice(0, index).map(({ path }) => path));
      return progress(percent, message, {
        current_file: candidate.path,
        files_processed: seen.size,
        total_files: files.length,
      });
    },
    onEnd: (candidate, result) => {
      const verdict = result.passed ? 'all tests pass' : result.timed_out ? 'never ends' : 'still fails';
      return channel.log('debug', `${describe(candidate)} in ${candidate.path}:${candidate.line}: ${verdict}`);
    },
  });
  const notes = [`Suspected: ${files.join(', ') || 'no file'}`, `Tried ${tried} of ${candidates.length} small changes`];
  if (!fix) {
    const why = stop.aborted ? 'Stopped on request' : 'No small change makes the tests pass';
    return finish({ command, before, notes, failed: true, outcome: `${why}; the code is as it was.` });
  }
  await channel.log('info', `Repaired ${fix.path}:${fix.line}: ${describe(fix)}`, { tried });
  const diff = unifiedDiff(fix.path, fix.source, fix.repaired);
  const outcome = `Repaired ${fix.path}, line ${fix.line}: ${describe(fix)}. All tests pass.`;
  return finish({ command, before, after: run, diff, notes, outcome });
}

/** Runs the tests once, with a record of what they execute. */
async function firstRun(command) {
  const coverage = mkdtempSync(join(tmpdir(), 'demo-agent-'));
  try {
    const env = { NODE_V8_COVERAGE: coverage };
    const before = await runTests(command, { cwd, timeout_ms: FIRST_RUN_MS, stop, env });
    const suspects = before.passed || stop.aborted ? [] : findSuspects({ cwd, output: before.output, coverage });
    return { before, suspects };
  } finally {
    rmSync(coverage, { recursive: true, force: true });
  }
}

/** Writes the report and makes the result of it. */
async function finish({ command, before, after = null, diff = null, notes = [], outcome, failed = false }) {
  await progress(95, 'Writing the report');
  const artifacts = [];
  try {
    const path = join(task.artifacts, 'repair-report.md');
    mkdirSync(task.artifacts, { recursive: true });
    writeFileSync(path, renderReport({ task, command, outcome, diff, before, after, notes }));
    artifacts.push({ type: 'report', path });
  } catch (error) {
    // The repair counts all the same.
    await channel.log('warn', `The report can't be written: ${error.message}`);
  }
  await progress(100, outcome);
  return { status: failed ? 'failed' : 'completed', summary: outcome, artifacts };
}

function failure(summary) {
  return { status: 'failed', summary, artifacts: [] };
}

async function progress(percent, message, more = {}) {
  await channel.send('progress', { progress: percent, message, ...more });
  if (paceMs > 0) await sleep(paceMs, undefined, { signal: stop }).catch(() => {});
}

function describe({ before, after }) {
  const short = (text) => (text === '' ? 'nothing' : `\`${text.replace(/\s+/g, ' ')}\``);
  return `${short(before)} → ${short(after)}`;
}

/** What is checked out, where there is git to ask. */
function describeCheckout() {
  try {
    const options = { cwd, encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] };
    return `the checkout at ${execFileSync('git', ['log', '-1', '--format=%h "%s"'], options).trim()}`;
  } catch {
    return cwd;
  }
}

listenForControl(process.stdin, (action) => {
  if (action === 'stop') stopping.abort();
  else channel.log('warn', `Ignoring the control action ${action}: this agent only knows stop`).catch(() => {});
});
process.on('SIGTERM', () => stopping.abort());
process.on('SIGINT', () => stopping.abort());

try {
  const result = await work();
  await channel.send('result', result);
  process.exit(result.status === 'completed' ? 0 : 1);
} catch (error) {
  const result = failure(`The agent itself failed: ${error.message}`);
  await channel.send('error', { message: error.message, stack: error.stack }).catch(() => {});
  await channel.send('result', result).catch(() => {});
  process.exit(1);
}
