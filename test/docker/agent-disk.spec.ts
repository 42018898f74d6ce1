import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DISK_FAULT_POINTS } from '../../src/common/ops/fault-points.js';
import { AgentBench, COMPLETED, FAILED, node, sh } from '../support/agents.js';
import { noContainerLeft } from '../support/containers.js';
import { attackTools, tool } from '../support/attack-tools.js';
import { loopsUnder, mountsUnder } from '../support/mounts.js';
import { makeRepository } from '../support/repository.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const MEBI = 1024 ** 2;
const LIMIT = 32 * MEBI;
const LIMITED = { disk_limit: '32m' };
/** More than any agent here tries to write at the pace of 160 MiB/s; it waits then, to be ended. */
const ALL = 800 * MEBI;
/** What a file system of so many bytes takes for itself at the most, and what is beside it. */
const OF_ITS_OWN = LIMIT * 0.06 + 20 * MEBI;

/** A program that writes with `write(n)`, the n-th mebibyte, until it can't or has written far too much. */
const writer = (program: string) =>
  node(`
    const fs = require('node:fs');
    const MEBI = Buffer.alloc(1048576, 7);
    ${program}
    (async () => {
      try {
        for (let n = 0; n < ${ALL / MEBI}; n++) {
          write(n);
          if (n % 8 === 7) await new Promise((resolve) => setTimeout(resolve, 50));
        }
      } catch (error) {
        console.error('stopped by ' + error.code);
        process.exit(1);
      }
      setTimeout(() => console.error('never ended'), 60_000);
    })();
  `);
/** A shell command that adds so many mebibytes to a file. */
const FILL = `node -e 'fs.appendFileSync("file", Buffer.alloc(process.argv[1] * 1048576, 7))'`;
const into = (path: string) => `const fd = fs.openSync('${path}', 'w'); const write = () => fs.writeSync(fd, MEBI);`;

const ATTACKS = [
  { what: 'one file in the workspace', command: writer(into('/workspace/file')) },
  { what: 'one file in its home', command: writer(into('/home/agent/file')) },
  { what: 'one file in /tmp', command: writer(into('/tmp/file')) },
  {
    what: 'all three of them',
    command: writer(`
      const fds = ['/workspace/a', '/home/agent/a', '/tmp/a'].map((path) => fs.openSync(path, 'w'));
      const write = (n) => fs.writeSync(fds[n % 3], MEBI);`),
  },
  {
    what: 'many small files',
    command: writer(`
      const write = (n) => {
        fs.mkdirSync('many' + n);
        for (let k = 0; k < 256; k++) fs.writeFileSync('many' + n + '/' + k, MEBI.subarray(0, 4096));
      };`),
  },
  {
    what: 'a sparse file, here and there',
    command: writer(`
      const fd = fs.openSync('sparse', 'w');
      fs.ftruncateSync(fd, 1000 * 1048576);
      const write = (n) => fs.writeSync(fd, MEBI, 0, MEBI.length, ((n * 7) % 1000) * 1048576);`),
  },
  {
    what: 'files that it removes and holds open',
    // They go with it: where it gave up by itself, nothing is full any more when somebody looks.
    codes: ['agent.disk_limit', 'agent.exit_code'],
    command: writer(`
      const write = (n) => {
        const fd = fs.openSync('gone', 'w');
        fs.unlinkSync('gone');
        fs.writeSync(fd, MEBI);
      };`),
  },
  {
    what: 'folders that it locks',
    command: writer(`
      const write = (n) => {
        fs.mkdirSync('locked' + n);
        fs.writeFileSync('locked' + n + '/file', MEBI);
        fs.chmodSync('locked' + n, 0);
      };`),
  },
  { what: 'its artifacts', beside: true, command: writer(into('/run/kandev/artifacts/file')) },
  {
    what: 'removed files in its run directory',
    beside: true,
    command: writer(`
      const write = (n) => {
        const fd = fs.openSync('/run/kandev/gone', 'w');
        fs.unlinkSync('/run/kandev/gone');
        fs.writeSync(fd, MEBI);
      };`),
  },
];

describeWithEngine.each(['filesystem', 'measured'] as const)('the disk limit of an agent, %s', (method) => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ KANDEV_DISK_LIMIT_METHOD: method });
  });

  afterAll(async () => {
    try {
      await expectNothingHeld(bench);
    } finally {
      await bench.close();
    }
  });

  it.each(ATTACKS)('holds against $what', async ({ command, beside, codes = ['agent.disk_limit'] }) => {
    const ended = await bench.run({ command, default_resources: LIMITED });
    expect(ended).toMatchObject(FAILED);
    expect(codes).toContain(ended.failure_code);
    if (codes.length === 1) expect(ended.message).toContain('disk_limit');
    const said = (await bench.said(ended.task_id)).map(({ data }) => data['message']);
    expect(said).not.toContain('never ended');
    if (method === 'filesystem' && !beside) expect(said).toContain('stopped by ENOSPC');
    const taken = bytesBelow(join(bench.server.home, 'workspaces'), ended.task_id);
    // What one look too late allows: half of what it would have written.
    expect(taken).toBeLessThan(method === 'filesystem' ? LIMIT + OF_ITS_OWN : ALL / 2);
  });

  it('holds against room that is taken without a byte written', async () => {
    const ended = await bench.run({
      command: sh(`${tool('fallocate', '-l', '900M', 'file')} || exit 1; sleep 60`),
      repository_url: makeRepository(bench.server.directory, attackTools(['fallocate'])),
      default_resources: LIMITED,
    });
    expect(ended).toMatchObject({ ...FAILED, failure_code: 'agent.disk_limit' });
  });

  it('does not count a file for each of its names, nor what it does not hold', async () => {
    const program = `
      const fs = require('node:fs');
      fs.writeFileSync('file', Buffer.alloc(1048576, 7));
      for (let n = 0; n < 200; n++) fs.linkSync('file', 'name' + n);
      fs.closeSync(fs.openSync('sparse', 'w'));
      fs.truncateSync('sparse', 900 * 1048576);
      fs.symlinkSync('/', 'everything');
      for (let n = 0; n < 60; n++) { fs.writeFileSync('again', Buffer.alloc(4 * 1048576, n)); fs.unlinkSync('again'); }
      setTimeout(() => console.log('done'), 1500);
    `;
    expect(await bench.run({ command: node(program), default_resources: LIMITED })).toMatchObject(COMPLETED);
  });

  it('leaves alone who keeps to it, beside one who does not', async () => {
    const patient = `${FILL} 8; until [ -e go ]; do sleep 0.1; done; ${FILL} 8`;
    const good = await bench.task({ command: sh(patient), default_resources: LIMITED });
    await bench.start(good);
    await bench.running(good);
    expect(await bench.run({ command: ATTACKS[0]?.command, default_resources: LIMITED })).toMatchObject(FAILED);
    execFileSync('touch', [join(bench.workspace(good), 'go')]);
    expect(await bench.ended(good)).toMatchObject(COMPLETED);
  });

  it('is told with the attempt', async () => {
    const taskId = await bench.task({
      command: sh(`${FILL} 9; sleep 600`),
      default_resources: LIMITED,
    });
    await bench.start(taskId);
    const { id } = await bench.running(taskId);
    // A disk that has to be measured is looked at every 30 s, the first time perhaps before all is written.
    const measured = async () => {
      const bytes = (await bench.instance(id)).usage?.['disk_bytes'] ?? 0;
      return bytes > 9 * MEBI && bytes;
    };
    const used = await until('the disk to be measured', measured, 60_000);
    expect(used).toBeLessThan(10 * MEBI);
    await bench.admin.post(`/agents/${id}/stop`, { force: true });
    await bench.ended(taskId);
  });
});

describeWithEngine('a disk of an agent that is a file system, when the server is killed', () => {
  // The first one to be formatted is the server's own, to find out what its host can do.
  const killed = DISK_FAULT_POINTS.map((point) => (point === 'disk.formatted' ? `${point}:2` : point));

  // Some at the same time: each has a server of its own.
  it.concurrent.each(killed)('at %s, is there after a restart, and nothing else', async (point) => {
    const bench = await AgentBench.open({ KANDEV_DISK_LIMIT_METHOD: 'filesystem', KANDEV_FAULT_POINT: point });
    try {
      const command = node(`
        const fs = require('node:fs');
        fs.appendFileSync('kept', 'run ');
        const { bavail, bsize } = fs.statfsSync('.');
        console.log(bavail * bsize);
      `);
      const taskId = await bench.task({ command, default_resources: LIMITED });
      await bench.start(taskId).catch(() => undefined); // it may die in the answer
      if (point === 'disk.resized') {
        await bench.ended(taskId);
        const { body } = await bench.admin.get<{ agent_type: string }>(`/tasks/${taskId}`);
        const types = await bench.admin.get<{ agent_types: { id: string; name: string }[] }>('/agent-types');
        const type = types.body.agent_types.find(({ name }) => name === body.agent_type);
        const grown = await bench.admin.put(`/agent-types/${type?.id}`, { default_resources: { disk_limit: '64m' } });
        expect(grown.status).toBe(200);
        await bench.admin.post('/orchestrator/trigger', { task_id: taskId, force: true }).catch(() => undefined);
      }
      expect(await bench.server.ended()).toBe('SIGKILL');
      bench.server.clear('KANDEV_FAULT_POINT');
      await bench.server.start();
      expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
      const said = (await bench.said(taskId)).map(({ data }) => Number(data['message']));
      expect((said.at(-1) ?? NaN) / MEBI).toBeCloseTo(point === 'disk.resized' ? 64 : 32, -0.5);
      await expectNothingHeld(bench);
      await until('nothing but the disk to be left', () => {
        const names = readdirSync(join(bench.server.home, 'workspaces')).toSorted();
        return names.join(' ') === `${taskId} ${taskId}.img`;
      });
    } finally {
      await noContainerLeft(bench.server.home);
      await bench.server.dispose();
    }
  });
});

/** Waits until no disk is mounted or attached. */
async function expectNothingHeld(bench: AgentBench): Promise<void> {
  await until(
    'every disk to be let go of',
    () => mountsUnder(bench.server.home).length === 0 && loopsUnder(bench.server.home).length === 0,
  );
}

/** What a task has on this host: in its folder, or in its image. */
function bytesBelow(directory: string, taskId: string): number {
  const names = readdirSync(directory).includes(`${taskId}.img`) ? [`${taskId}.img`] : [taskId];
  const lines = execFileSync('du', ['-skxc', ...names], { cwd: directory, encoding: 'utf8' })
    .trim()
    .split('\n');
  return Number.parseInt(lines.at(-1) ?? '', 10) * 1024;
}
