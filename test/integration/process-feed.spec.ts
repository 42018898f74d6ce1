import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/common/config/config.js';
import { HostRunDirectories } from '../../src/modules/agent/infra/files/host-run-directories.js';
import { ProcessRuntime } from '../../src/modules/agent/infra/process/process-runtime.js';
import { sh } from '../support/agents.js';
import { until } from '../support/until.js';

const USER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

describe('the feed of a process', () => {
  let home: string;
  let directories: HostRunDirectories;
  let runtime: ProcessRuntime;
  let id: string;

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'kandev-test-'));
    const config = loadConfig({ KANDEV_HOME: home, KANDEV_ALLOW_PROCESS_RUNTIME: 'true' });
    directories = new HostRunDirectories(config);
    runtime = new ProcessRuntime(config, directories);
  });

  afterEach(() => runtime.remove(id));
  afterAll(() => rmSync(home, { recursive: true }));

  async function prepare(): Promise<void> {
    id = randomUUID();
    await directories.prepare(id, { task: {}, api_key: 'key' }, USER, { feed: true });
  }

  const start = (script: string): Promise<void> =>
    runtime.start({
      ...{ agent_id: id, run_id: id, task_id: id, image_name: '', image_id: null, command: sh(script) },
      ...{ environment: {}, limits: {}, max_file_bytes: null, network: 'open', gateway_directory: null },
      ...{ workspace_directory: home, home_directory: home, tmp_directory: home, credentials: [], user: USER },
      run_directory: directories.path(id),
    });

  const write = (atByte: number, text: string): Promise<boolean> =>
    directories.writeInput(id, atByte, Buffer.from(text));
  const output = (): Buffer => readFileSync(join(directories.path(id), 'out'));
  const said = (text: string): Promise<true> => until(text, () => output().toString() === text || undefined);

  /** The feeder's command line names the run directory, and so does the agent's shell. */
  const isOver = (): boolean => !commandLines().some((line) => line.includes(id));

  it('gives the agent each byte once, whenever it was written and however often', async () => {
    await prepare();
    expect(await write(0, 'before\n')).toBe(true);
    await start('exec cat');
    await said('before\n');
    expect(await directories.sendControl(id, { action: 'input' })).toBe(false);
    await write(0, 'before\nhal');
    await said('before\nhal');
    const line = `half ${'x'.repeat(5 * 1024 * 1024)}\n`;
    for (let round = 0; round < 2; round++) await write(7, line);
    await until('all of it', () => output().length === 7 + line.length);
    expect(output().equals(Buffer.from(`before\n${line}`))).toBe(true);
    expect(await write(8 + line.length, 'a hole before it')).toBe(false);
  });

  it('ends with the agent, and outlives the signal that asks it to end', async () => {
    await prepare();
    await start('trap "echo asked" TERM; echo ready; while ! read -r line; do :; done; echo "$line"; exit 7');
    await said('ready\n');
    const stopped = runtime.stop(id, 30);
    await said('ready\nasked\n');
    await write(0, 'last words\n');
    await stopped;
    await said('ready\nasked\nlast words\n');
    expect(await runtime.waitForExit(id, AbortSignal.timeout(10_000))).toMatchObject({ exit_code: 7 });
    await until('all of its processes to be gone', isOver);
  });

  it('holds up nobody with an agent that never reads', async () => {
    await prepare();
    await write(0, 'x'.repeat(1024 * 1024));
    await start('exec sleep 600');
    await runtime.stop(id, 5);
    expect(await runtime.waitForExit(id, AbortSignal.timeout(10_000))).toMatchObject({ exit_code: 143 });
    await until('all of its processes to be gone', isOver);
  });
});

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      } catch {
        return ''; // it has just ended
      }
    });
}
