import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Config } from '../../../../common/config/config.js';
import type { RunDirectories } from '../../domain/run-directory.js';
import { ProcessRuntime } from './process-runtime.js';

const WAIT = { timeout: 10_000 }; // on a machine at its limit
/** A letter, as /proc has it: T stands. */
const stateOf = (pid: number): string | undefined => /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];

it.skipIf(process.platform !== 'linux')(
  'holds a process still with its group, lets it go on, and ends one that stands',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kandev-process-'));
    const runtime = new ProcessRuntime({} as Config, { path: () => directory } as unknown as RunDirectories);
    const child = spawn('sh', ['-c', 'sleep 600; :', directory], { detached: true, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      writeFileSync(join(directory, 'pid'), String(child.pid));
      await expect.poll(async () => (await runtime.inspect('a')).state, WAIT).toBe('running');
      await expect.poll(() => stateOf(child.pid!), WAIT).toBe('S'); // its child has begun as well
      await runtime.pause('a');
      await expect.poll(() => stateOf(child.pid!), WAIT).toBe('T');
      await runtime.resume('a');
      await expect.poll(() => stateOf(child.pid!), WAIT).toBe('S');
      await runtime.pause('a');
      await runtime.stop('a', 10); // it hears SIGTERM, although it stood
      await ended;
    } finally {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    }
  },
  30_000,
);
