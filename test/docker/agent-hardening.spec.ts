import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxReport } from '../../src/modules/agent/domain/sandbox.js';
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
        environment_vars: { PORT: new URL(bench.server.url).port, SERVER_PID: String(bench.server.pid) },
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
      // Shared memory is 64 MiB of the memory that it has anyway.
      expect(view.writable).toEqual(['/dev/shm', '/workspace', '/run/kandev', '/tmp', '/home/agent']);
      expect(view.mounts['/']).toContain('ro');
    });

    it('has mounts of the host, and they are its own', () => {
      // The engine brings the rest: its virtual file systems, its init, and three files about the network.
      const ofEngine = /^\/$|^\/(proc|sys|dev)\b|^\/etc\/(hosts|hostname|resolv\.conf)$|\/docker-init$/;
      const others = Object.keys(view.mounts).filter((target) => !ofEngine.test(target));
      const fixed = ['/run/kandev-gateway', '/run/kandev-launcher'];
      expect(others.toSorted()).toEqual([...fixed, '/home/agent', '/run/kandev', '/tmp', '/workspace'].toSorted());
      for (const target of fixed) expect(view.mounts[target], target).toContain('ro');
      expect(view.devices.toSorted()).toEqual(['full', 'null', 'random', 'tty', 'urandom', 'zero']);
    });

    it('sees and touches no process but those of its own container', () => {
      const names = Object.values(view.processes).map((path) => path.split('/').at(-1));
      expect(new Set(names)).toEqual(new Set(['docker-init', 'kandev-launcher', 'node']));
      expect(view.writable_memory).not.toContain(String(bench.server.pid));
    });

    it('reaches its gateway, and nobody else', () => {
      expect(view.interfaces).toEqual(['lo']);
      expect(view.reachable).toEqual(['127.0.0.1:3128']);
      expect(view.sockets).toEqual([]);
    });

    it('knows none of the secrets of the server', () => {
      expect(JSON.stringify(view.env)).not.toMatch(/canary|bird|postgres/i);
      const known = ['HOME', 'HOSTNAME', 'LANG', 'NODE_USE_ENV_PROXY', 'PATH', 'PORT', 'PWD', 'SERVER_PID'];
      const others = Object.keys(view.env).filter(
        (name) => !known.includes(name) && !/^(https?|no)_proxy$/i.test(name),
      );
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

    it('is told of the one address that it can reach', () => {
      const api_url = 'http://127.0.0.1:3128/api/v1';
      expect(view.env).toMatchObject({ KANDEV_API_URL: api_url, HTTPS_PROXY: 'http://127.0.0.1:3128' });
      expect(view.task).toMatchObject({ api_url });
    });

    it('is made as the engine shows it', async () => {
      const { HostConfig: host, Config: config, Mounts: mounts } = await containerOf(agentId);
      expect(host).toMatchObject({
        ...{ Privileged: false, ReadonlyRootfs: true, NetworkMode: 'none', IpcMode: 'private', PidMode: '' },
        ...{ CapAdd: null, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'], UsernsMode: '', Init: true },
        ...{ UTSMode: '', ShmSize: 64 * MEBI, GroupAdd: null, DeviceCgroupRules: null },
        ...{ Memory: 256 * MEBI, MemorySwap: 256 * MEBI, NanoCpus: 1.5e9, PidsLimit: 512, AutoRemove: false },
        ...{ Binds: null, Devices: null, VolumesFrom: null, DeviceRequests: null, RestartPolicy: { Name: 'no' } },
      });
      expect(host.Ulimits).toContainEqual(expect.objectContaining({ Name: 'core', Hard: 0 }));
      expect(config.User).toBe(`${view.uid}:${view.gid}`);
      const { home } = bench.server;
      const made = mounts.map(({ Type, Source, Destination, RW }) => [Type, Source, Destination, RW].join(' '));
      const disk = join(home, 'workspaces', taskId);
      expect(made.map((mount) => mount.replace(/launcher\/[0-9a-f]+\//, 'launcher/*/')).toSorted()).toEqual(
        [
          `bind ${bench.runDirectory(agentId)} /run/kandev true`,
          `bind ${disk}/home /home/agent true`,
          `bind ${disk}/tmp /tmp true`,
          `bind ${disk}/workspace /workspace true`,
          `bind ${home}/gateways/${agentId} /run/kandev-gateway false`,
          `bind ${home}/launcher/*/kandev-launcher /run/kandev-launcher false`,
        ].toSorted(),
      );
      expect(view.pids_max).toBe('512');
    });

    it('was compared with what was asked for, before it ran', async () => {
      const { sandbox } = (await bench.admin.get<{ sandbox: SandboxReport }>(`/agents/${agentId}`)).body;
      expect(sandbox).toMatchObject({ network: 'isolated', differences: [], probe: { uid: view.uid, seccomp: 2 } });
      expect(sandbox.inspected).toEqual(sandbox.policy);
      expect(sandbox.policy).toMatchObject({ entrypoint: 'launcher', cap_drop: ['ALL'], network_mode: 'none' });
      expect(sandbox.policy.mounts).toContain('workspace /workspace rw');
      expect(JSON.stringify(sandbox)).not.toContain(bench.server.directory);
      const { agents } = (await bench.admin.get<{ agents: object[] }>(`/agents?task_id=${taskId}`)).body;
      expect(agents).toHaveLength(1);
      expect(agents[0]).not.toHaveProperty('sandbox.policy');
    });
  });

  it('keep an agent from mounting and from new namespaces', async () => {
    const repository_url = makeRepository(bench.server.directory, attackTools(['mount', 'unshare']));
    const attempts = [
      tool('mount', '-t', 'tmpfs', 'none', '/workspace'),
      tool('mount', '-o', 'remount,rw', '/'),
      tool('mount', '--bind', '/proc/1', '/workspace/tools'),
      tool('mount', '-t', 'proc', 'none', '/workspace'),
      tool('mount', '-o', 'remount,rw', '/proc/sys'),
      tool('mount', '-o', 'remount,rw', '/run/kandev-launcher'),
      ...['U', 'Ur', 'm', 'n', 'p', 'u', 'i', 'C'].map((namespace) =>
        tool('unshare', `-${namespace}`, 'sh', '-c', ':'),
      ),
    ];
    const script = attempts.map((line) => `if ${line} 2>/dev/null; then echo "worked: ${line}"; fi`).join('\n');
    const check = `${tool('mount', '--version')} && ${tool('unshare', '--version')} || exit 9`;
    const ended = await bench.run({ command: sh(`${check}\n${script}\necho done`), repository_url });
    expect(ended).toMatchObject({ task: 'COMPLETED', run: 'COMPLETED', agent: 'COMPLETED', exit_code: 0 });
    const said = (await bench.said(ended.task_id)).map(({ data }) => data['message']);
    expect(said.filter((line) => String(line).startsWith('worked'))).toEqual([]);
    expect(said.at(-1)).toBe('done');
  });

  it('are the same for a run whose workspace is a link to elsewhere', async () => {
    const first = await bench.run({
      command: sh('touch /workspace/made; ln -sfn / /workspace && echo linked; rmdir /workspace'),
    });
    expect(first).toMatchObject({ agent: 'FAILED' }); // the last command is the one that decides, and it can't
    const taskId = first.task_id;
    const workspace = bench.workspace(taskId);
    expect(existsSync(join(workspace, 'made'))).toBe(true);
    // Whoever could do that has the host already; nothing is to follow from it all the same.
    const victim = join(bench.server.directory, 'victim');
    mkdirSync(victim, { mode: 0o700 });
    const before = statSync(victim);
    renameSync(workspace, `${workspace}.aside`);
    symlinkSync(victim, workspace);
    const { status } = await bench.admin.post('/orchestrator/trigger', { task_id: taskId, force: true });
    expect(status).toBe(202);
    const again = await bench.ended(taskId);
    expect(again.instance.id).not.toBe(first.instance.id);
    expect(again).toMatchObject({ task: 'FAILED', agent: 'FAILED' });
    expect(again.failure_code).toBe('container.sandbox_mismatch');
    const { uid, mode } = statSync(victim);
    expect([uid, mode, readdirSync(victim)]).toEqual([before.uid, before.mode, []]);
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
      { default_resources: { memory_limit: '-1' } },
      { network: 'host' },
      { network: 'bridge' },
      { network: 'container:1' },
      { environment_vars: { LD_PRELOAD: '/x' }, security_opt: ['seccomp=unconfined'] },
      { docker_image: '--privileged' },
      { command: 'sh -c id' },
    ];
    for (const attempt of attempts) {
      const { status } = await bench.admin.post('/agent-types', { ...base, ...attempt });
      expect(status, JSON.stringify(attempt)).toBe(400);
    }
  });
});
