import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { watchGently } from './watch-gently.js';

let directory: string;
let told = 0;
const count = (): number => told;
let unwatch: () => void;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kandev-watch-'));
  told = 0;
  unwatch = watchGently(directory, () => told++);
});

afterEach(() => {
  unwatch();
  rmSync(directory, { recursive: true, force: true });
});

it('tells at once', async () => {
  for (let line = 0; line < 20; line++) {
    const before = told;
    appendFileSync(join(directory, 'out'), 'line\n');
    const started = performance.now();
    while (count() === before) await sleep(1);
    expect(performance.now() - started).toBeLessThan(100); // half of what the reader's own look takes at worst
  }
});

it('does not let a flood of changes take the thread', async () => {
  const flood = `const fs = require('fs'); const name = process.argv[1];
    const files = ['a', 'b'].map((file) => fs.openSync(name + file, 'a'));
    for (;;) for (const file of files) fs.writeSync(file, 'x');`;
  const writers = ['out', 'err'].map((name) =>
    spawn(process.execPath, ['-e', flood, join(directory, name)], { stdio: 'ignore' }),
  );
  try {
    while (count() < 100) await sleep(5);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    await sleep(3000);
    delay.disable();
    expect(told).toBeLessThan(30_000); // of some hundred thousand
    expect(delay.max / 1e6).toBeLessThan(400); // without a limit more than a second; the writers want the processors, too
  } finally {
    for (const writer of writers) writer.kill('SIGKILL');
    await Promise.all(writers.map((writer) => new Promise((resolve) => writer.once('close', resolve))));
  }
});

it('tells nothing of what is not there, and nothing after its end', async () => {
  const none = watchGently(join(directory, 'gone'), () => told++);
  none();
  unwatch();
  const before = told;
  appendFileSync(join(directory, 'out'), 'line\n');
  await sleep(50);
  expect(told).toBe(before);
});
