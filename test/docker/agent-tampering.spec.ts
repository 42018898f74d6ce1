import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { AgentBench, COMPLETED, FAILED, sh } from '../support/agents.js';
import { attackTools, tool } from '../support/attack-tools.js';
import { makeRepository } from '../support/repository.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const SECRET = 'known-to-the-host-alone';

const REPLACEMENTS = [
  { what: 'a link to a file of the host', replace: (file: string) => tool('ln', '-sf', file, '/run/kandev/out') },
  { what: 'a link to its own', replace: () => tool('ln', '-sf', '/workspace/go', '/run/kandev/out') },
  { what: 'a link to /dev/zero', replace: () => tool('ln', '-sf', '/dev/zero', '/run/kandev/out') },
  { what: 'a pipe', replace: () => `rm /run/kandev/out; ${tool('mkfifo', '/run/kandev/out')}` },
  { what: 'a folder', replace: () => 'rm /run/kandev/out; mkdir /run/kandev/out' },
  { what: 'nothing', replace: () => 'rm /run/kandev/out /run/kandev/err /run/kandev/in' },
];

describeWithEngine('an agent that tampers with its run directory', () => {
  let bench: AgentBench;
  let repository_url: string;
  let hostFile: string;

  beforeAll(async () => {
    bench = await AgentBench.open({ KANDEV_MAX_CONCURRENT_RUNS: '8' });
    repository_url = makeRepository(bench.server.directory, attackTools(['mkfifo', 'ln']));
    hostFile = join(bench.server.directory, 'host-file');
    writeFileSync(hostFile, `${SECRET}\n`);
  });

  afterEach(() => bench.expectQuiet());

  afterAll(async () => {
    expect(bench.server.log).not.toContain(SECRET);
    await bench.close();
  });

  /** Starts an agent that says `before`, waits for a sign, and goes on with the script; resolves when it waits. */
  async function startWaiting(script: string): Promise<{ taskId: string; agentId: string; goOn: () => void }> {
    const command = sh(`echo before; until [ -e go ]; do sleep 0.05; done\n${script}`);
    const taskId = await bench.task({ command, repository_url });
    await bench.start(taskId);
    const { id: agentId } = await bench.running(taskId);
    await until('its first line', async () => (await bench.said(taskId)).length === 1);
    return { taskId, agentId, goOn: () => writeFileSync(join(bench.workspace(taskId), 'go'), '') };
  }

  async function lines(taskId: string): Promise<unknown[]> {
    return (await bench.said(taskId)).map(({ data }) => data['message']);
  }

  it('and cuts off its output, is killed', async () => {
    const { taskId, goOn } = await startWaiting(': > /run/kandev/out; sleep 600');
    goOn();
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...FAILED, failure_code: 'agent.output_truncated' });
    expect(ended.message).toMatch(/cut off/);
    expect(await lines(taskId)).toEqual(['before']);
  });

  it('and cuts off its output with its last breath', async () => {
    const { taskId, goOn } = await startWaiting(': > /run/kandev/out');
    goOn();
    expect(await bench.ended(taskId)).toMatchObject({ ...FAILED, failure_code: 'agent.output_truncated' });
  });

  it.each(REPLACEMENTS)(
    'and puts $what in the place of its output, is read on where it wrote before',
    async ({ replace }) => {
      const { taskId, goOn } = await startWaiting(`${replace(hostFile)} || exit 9; echo after`);
      goOn();
      expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
      expect(await lines(taskId)).toEqual(['before', 'after']);
    },
  );

  it('and replaces its output, gives nothing away to a server that opens it anew', async () => {
    const agents = await Promise.all(
      REPLACEMENTS.map(({ replace }) => {
        return startWaiting(`${replace(hostFile)} || exit 9; : > replaced; until [ -e end ]; do sleep 0.05; done`);
      }),
    );
    for (const { taskId, goOn } of agents) {
      goOn();
      await until('the replacement', () => existsSync(join(bench.workspace(taskId), 'replaced')));
    }
    expect(await bench.server.stop()).toBe(0);
    await bench.server.start();
    for (const { taskId } of agents) {
      writeFileSync(join(bench.workspace(taskId), 'end'), '');
      expect(await bench.ended(taskId)).toMatchObject({ exit_code: 0 });
      expect(await lines(taskId)).toEqual(['before']);
    }
  });

  it('and puts a link in the place of its input, is stopped all the same', async () => {
    const { taskId, agentId, goOn } = await startWaiting(
      `${tool('ln', '-sf', hostFile, '/run/kandev/in')}; echo replaced; sleep 600 & wait`,
    );
    goOn();
    await until('the replacement', async () => (await lines(taskId)).includes('replaced'));
    await bench.admin.post(`/agents/${agentId}/stop`);
    expect(await bench.ended(taskId)).toMatchObject({ task: 'CANCELLED', agent: 'STOPPED' });
    expect(await lines(taskId)).toEqual(['before', 'replaced']);
  });

  it('and builds a maze, leaves nothing behind', async () => {
    const maze = `node -e "
      const { mkdirSync, writeFileSync, chmodSync } = require('node:fs');
      process.chdir('/run/kandev/artifacts');
      for (let depth = 0; depth < 3000; depth++) { mkdirSync('deeper'); process.chdir('deeper'); }
      process.chdir('/run/kandev');
      mkdirSync('locked/inner', { recursive: true });
      writeFileSync('locked/inner/file', '');
      chmodSync('locked/inner', 0);
      chmodSync('locked', 0);
    "`;
    const ended = await bench.run({ command: sh(maze) });
    expect(ended).toMatchObject(COMPLETED);
    await until('its run directory to be gone', () => !existsSync(bench.runDirectory(ended.instance.id)));
  });
});
