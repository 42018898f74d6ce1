import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandLineOf } from '../process/process-table.js';
import { openRegularFile } from './open-regular-file.js';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kandev-shortage-'));
  writeFileSync(join(directory, 'file'), 'x');
  mkdirSync(join(directory, 'folder'));
  symlinkSync(join(directory, 'file'), join(directory, 'link'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Opens files until the system gives no more, and then tries both. */
const SCRIPT = `
  import { openSync } from 'node:fs';
  const { openRegularFile } = await import(process.argv[1]);
  const { commandLineOf } = await import(process.argv[2]);
  const tries = [() => openRegularFile(process.argv[3]), () => commandLineOf(process.pid)];
  await Promise.all(tries.map((run) => run()));
  try { for (;;) openSync('/dev/null'); } catch {}
  const ends = await Promise.allSettled(tries.map((run) => run()));
  process.stdout.write(ends.map(({ reason }) => reason?.code ?? 'nothing').join());`;

it.runIf(process.platform === 'linux')(
  'too many open files: neither is a file absent, nor a process gone',
  async () => {
    const [file, table] = ['./open-regular-file.ts', '../process/process-table.ts'].map(
      (path) => new URL(path, import.meta.url).href,
    );
    const limited = 'ulimit -n 64; exec "$@"';
    const { stdout } = await promisify(execFile)('sh', [
      ...['-c', limited, 'sh', process.execPath, '--input-type=module', '-e', SCRIPT],
      ...[file!, table!, join(directory, 'file')],
    ]);
    expect(stdout).toBe('EMFILE,EMFILE');
  },
);

it('what is there and is no regular file, or is not there, is null', async () => {
  for (const name of ['none', 'file/below', 'folder', 'link'])
    expect(await openRegularFile(join(directory, name))).toBeNull();
  const handle = await openRegularFile(join(directory, 'file'));
  expect(handle).not.toBeNull();
  await handle?.close();
  await expect(openRegularFile(join(directory, 'x'.repeat(300)))).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
});

it('a process that is gone has no command line', async () => {
  expect(await commandLineOf(2 ** 22 + 1)).toBe(''); // beyond what Linux numbers
  expect(await commandLineOf(process.pid)).toContain('node');
});
