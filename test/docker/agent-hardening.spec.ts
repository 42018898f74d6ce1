import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, node, sh } from '../support/agents.js';
import { attackTools, tool } from '../support/attack-tools.js';
import { containerOf, docker } from '../support/containers.js';
import { LOOK_AROUND, type View } from '../support/look-around.js';
import { makeRepository } from '../support/repository.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const MEBI = 1024 * 1024;

describeWithEngine('the walls around an agent', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ JWT_SECRET: 'a canary that no agent may ever see: 7c2f9e', CANARY: 'bird' });
  });

  afterAll(() => bench.close());

  describe('while it looks around', () => {
    let view: View;
    let taskId: string;
    let agentId: string;

    beforeAll(async () => {
      taskId = await bench.task({
        command: LOOK_AROUND,
        environment_vars: { PORT: new URL(bench.server.url).port },
        default_resources: { cpu_limit: '1.5', memory_limit: '256m' },
      });
      await bench.start(taskId);
      agentId = (await bench.running(taskId)).id;
      const looked = await until('the agent to have looked', async () => {
        return (await bench.said(taskId)).find(({ data }) => data['status'] === 'looked');
      });
      view = looked.data['view'] as View;
    });

    afterAll(async () => {
      await bench.admin.post(`/agents/${agentId}/stop`, { force: true });
      expect(await bench.ended(taskId)).toMatchObject({ task: 'CANCELLED', run: 'CANCELLED', agent: 'STOPPED' });
    });

    it('is nobody', () => {
      expect(view.uid).not.toBe(0);
      expect(view.gid).not.toBe(0);
      expect(view.status).toMatchObject({ NoNewPrivs: '1', Seccomp: '2' });
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        expect(BigInt(`0x${view.status[set]}`), set).toBe(0n);
      }
    });

    it('writes to its own places alone', () => {
      expect(view.writable).toEqual(['/workspace', '/run/kandev', '/tmp', '/home/agent']);
      expect(view.mounts['/']).toContain('ro');
    });

    it('has two mounts of the host, and they are its own', () => {
      // The engine brings the rest: its virtual file systems, its init, and three files about the network.
      const ofEngine = /^\/$|^\/(proc|sys|dev|tmp|home\/agent)\b|^\/etc\/(hosts|hostname|resolv\.conf)$|\/docker-init$/;
      const others = Object.keys(view.mounts).filter((target) => !ofEngine.test(target));
      expect(others.toSorted()).toEqual(['/run/kandev', '/workspace']);
      expect(view.mounts['/tmp']).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
      expect(view.mounts['/home/agent']).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
    });

    it('reaches nobody', () => {
      expect(view.interfaces).toEqual(['lo']);
      expect(view.reachable).toEqual([]);
      expect(view.sockets).toEqual([]);
    });

    it('knows none of the secrets of the server', () => {
      expect(JSON.stringify(view.env)).not.toMatch(/canary|bird|postgres/i);
      const known = ['HOME', 'HOSTNAME', 'LANG', 'PATH', 'PORT', 'PWD'];
      const others = Object.keys(view.env).filter((name) => !known.includes(name));
      expect(others.filter((name) => !name.startsWith('KANDEV_'))).toEqual([]);
    });

    it('knows its task, by its environment and by a file', async () => {
      const { run_id } = await bench.instance(agentId);
      const { title, description } = (await bench.admin.get<{ title: string; description: string }>(`/tasks/${taskId}`))
        .body;
      expect(view.env).toMatchObject({
        ...{ KANDEV_TASK_ID: taskId, KANDEV_RUN_ID: run_id, KANDEV_AGENT_ID: agentId, KANDEV_BRANCH: '' },
        ...{ KANDEV_TASK_TITLE: title, KANDEV_TASK_DESCRIPTION: description, KANDEV_REPOSITORY_URL: '' },
        ...{ KANDEV_ARTIFACTS_DIR: '/run/kandev/artifacts', HOME: '/home/agent' },
      });
      const ids = { task_id: taskId, run_id, agent_id: agentId };
      expect(view.task).toMatchObject({ ...ids, title, description, repository_url: null, branch: null, attempt: 1 });
    });

    it('has a key of its own that nobody else on the host reads', () => {
      expect(view.key).toMatchObject({ mode: '600', uid: view.uid });
      expect(view.key.length).toBeGreaterThan(32);
      const file = statSync(`${bench.runDirectory(agentId)}/api-key`);
      expect([(file.mode & 0o7777).toString(8), file.uid, file.gid]).toEqual(['600', view.uid, view.gid]);
      expect(JSON.stringify([view.env, view.task])).not.toContain(
        readFileSync(`${bench.runDirectory(agentId)}/api-key`, 'utf8'),
      );
    });

    it('is told of no address that it could not reach', () => {
      expect(Object.keys(view.env)).not.toContain('KANDEV_API_URL');
      expect(Object.keys(view.task)).not.toContain('api_url');
    });

    it('is made as the engine shows it', async () => {
      const { HostConfig: host, Config: config, Mounts: mounts } = await containerOf(agentId);
      expect(host).toMatchObject({
        ...{ Privileged: false, ReadonlyRootfs: true, NetworkMode: 'none', IpcMode: 'private', PidMode: '' },
        ...{ CapAdd: null, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'], UsernsMode: '', Init: true },
        ...{ Memory: 256 * MEBI, MemorySwap: 256 * MEBI, NanoCpus: 1.5e9, PidsLimit: 512, AutoRemove: false },
        ...{ Binds: null, Devices: null, VolumesFrom: null, DeviceRequests: null, RestartPolicy: { Name: 'no' } },
      });
      expect(host.Ulimits).toContainEqual(expect.objectContaining({ Name: 'core', Hard: 0 }));
      expect(config.User).toBe(`${view.uid}:${view.gid}`);
      const made = mounts.map(({ Type, Source, Destination, RW }) => [Type, Source, Destination, RW].join(' '));
      expect(made.toSorted()).toEqual([
        `bind ${bench.runDirectory(agentId)} /run/kandev true`,
        `bind ${bench.workspace(taskId)} /workspace true`,
      ]);
      expect(view.pids_max).toBe('512');
    });
  });

  it('keep an agent from mounting and from new namespaces', async () => {
    const repository_url = makeRepository(bench.server.directory, attackTools(['mount', 'unshare']));
    const attempts = [
      tool('mount', '-t', 'tmpfs', 'none', '/workspace'),
      tool('mount', '-o', 'remount,rw', '/'),
      tool('mount', '--bind', '/proc/1', '/workspace/tools'),
      ...['U', 'Ur', 'm', 'n', 'p'].map((namespace) => tool('unshare', `-${namespace}`, 'sh', '-c', ':')),
    ];
    const script = attempts.map((line) => `if ${line} 2>/dev/null; then echo "worked: ${line}"; fi`).join('\n');
    const check = `${tool('mount', '--version')} && ${tool('unshare', '--version')} || exit 9`;
    const ended = await bench.run({ command: sh(`${check}\n${script}\necho done`), repository_url });
    expect(ended).toMatchObject({ task: 'COMPLETED', run: 'COMPLETED', agent: 'COMPLETED', exit_code: 0 });
    const said = (await bench.said(ended.task_id)).map(({ data }) => data['message']);
    expect(said.filter((line) => String(line).startsWith('worked'))).toEqual([]);
    expect(said.at(-1)).toBe('done');
  });

  it('take the longest description, and the largest environment', async () => {
    const LENGTH = 10_922; // 32 KiB in UTF-8
    const VALUE = '€'.repeat(LENGTH);
    const names = Array.from({ length: 24 }, (_, index) => `VALUE_${index}`);
    const program = `
      const { KANDEV_TASK_DESCRIPTION: description, ...env } = process.env;
      console.log(description.length + ' ' + ${JSON.stringify(names)}.map((name) => env[name].length).join(' '));
    `;
    const environment_vars = Object.fromEntries(names.map((name) => [name, VALUE]));
    const taskId = await bench.task({ command: node(program), environment_vars });
    const description = '€'.repeat(32_000);
    expect(await bench.admin.put(`/tasks/${taskId}`, { description })).toMatchObject({ status: 200 });
    await bench.start(taskId);
    expect(await bench.ended(taskId)).toMatchObject({ task: 'COMPLETED', agent: 'COMPLETED' });
    const [said] = await bench.said(taskId);
    expect(said?.data['message']).toBe(`32000 ${names.map(() => LENGTH).join(' ')}`);
  });

  it('let no agent have more processes than its share', async () => {
    const program = node(`
      const { spawn } = require('node:child_process');
      let failed = 0, waiting = 1500;
      for (let i = 0; i < 1500; i++) {
        const child = spawn('sleep', ['60'], { stdio: 'ignore' });
        child.on('error', () => { failed++; settle() });
        child.on('spawn', settle);
      }
      function settle() {
        if (--waiting > 0) return;
        console.log(JSON.stringify({ type: 'status', data: { status: 'forked', failed } }));
        process.exit(0);
      }
    `);
    const ended = await bench.run({ command: program });
    expect(ended).toMatchObject({ task: 'COMPLETED', agent: 'COMPLETED' });
    const [forked] = await bench.said(ended.task_id);
    expect(forked?.data['failed']).toBeGreaterThan(1500 - 512);
  });

  it('hold a fork bomb, and let it be stopped', async () => {
    const taskId = await bench.task({
      // Forks until it may not, and leaves all of them: a bomb of shells burns out as soon as forks begin to fail.
      command: sh('(while :; do sleep 600 & done) 2>/dev/null; read -r never'),
      default_resources: { cpu_limit: '0.5', memory_limit: '256m' },
    });
    await bench.start(taskId);
    const { id } = await bench.running(taskId);
    await until('the bomb to have gone off', async () => {
      const stats = await docker.getContainer(`kandev-${id}`).stats({ stream: false, 'one-shot': true });
      return (stats.pids_stats?.current ?? 0) > 400;
    });
    expect((await bench.admin.get('/boards')).status).toBe(200);
    expect((await bench.admin.post(`/agents/${id}/stop`, { force: true })).status).toBe(200);
    expect(await bench.ended(taskId)).toMatchObject({ task: 'CANCELLED', run: 'CANCELLED', agent: 'STOPPED' });
    await bench.expectQuiet();
  });

  it('can not be talked away by an agent type', async () => {
    const base = { name: 'breaker', docker_image: 'kandev/demo-agent' };
    const attempts = [
      { HostConfig: { Privileged: true } },
      { privileged: true },
      { user: 'root' },
      { mounts: ['/var/run/docker.sock:/var/run/docker.sock'] },
      { mounts: [{ type: 'bind', source: '/' }] },
      { binds: ['/:/host'] },
      { default_resources: { memory_limit: '256m', Privileged: true } },
      { default_resources: { pids_limit: '-1' } },
      { environment_vars: { KANDEV_RUN_DIR: '/' } },
      { docker_image: '--privileged' },
      { command: 'sh -c id' },
    ];
    for (const attempt of attempts) {
      const { status } = await bench.admin.post('/agent-types', { ...base, ...attempt });
      expect(status, JSON.stringify(attempt)).toBe(400);
    }
  });
});
