import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, CANCELLED, COMPLETED, FAILED, sh } from '../support/agents.js';
import { containersOf, docker } from '../support/containers.js';
import { query } from '../support/database.js';
import { EngineProxy } from '../support/engine-proxy.js';
import { heard, listenOverSocketIo, listenOverWebSocket } from '../support/listeners.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const SLEEPER = sh('echo began >> began; echo ready; sleep 600 & wait');
const WAITING = sh('echo ready; until [ -e go ]; do sleep 0.05; done; echo last');
const LOST = { task: 'FAILED', run: 'FAILED', agent: 'LOST', failure_code: 'agent.lost' };

describeWithEngine('bad luck outside of the server', () => {
  let bench: AgentBench;
  let proxy: EngineProxy;

  beforeAll(async () => {
    bench = await AgentBench.open();
    proxy = new EngineProxy(join(bench.server.directory, 'engine.sock'));
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  async function startReady(
    command = SLEEPER,
    on = bench,
  ): Promise<{ taskId: string; agentId: string; containerId: string }> {
    const taskId = await on.task({ command });
    await on.start(taskId);
    const { id: agentId, container_id } = await on.running(taskId);
    await until('the agent to be ready', async () => (await on.said(taskId)).length > 0);
    return { taskId, agentId, containerId: container_id ?? '' };
  }

  async function touch(containerId: string, file: string): Promise<void> {
    const exec = await docker.getContainer(containerId).exec({ Cmd: ['touch', `/workspace/${file}`] });
    await exec.start({});
  }

  async function lines(taskId: string): Promise<unknown[]> {
    return (await bench.said(taskId)).map(({ data }) => data['message']);
  }

  it.each([
    { what: 'docker kill', act: (id: string) => docker.getContainer(id).kill(), exit_code: 137, says: /SIGKILL/ },
    {
      what: 'docker stop',
      act: (id: string) => docker.getContainer(id).stop({ t: 5 }),
      exit_code: 143,
      says: /signal 15/,
    },
  ])('$what ends the run with a reason', async ({ act, exit_code, says }) => {
    const { taskId, containerId } = await startReady();
    await act(containerId);
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...FAILED, exit_code, failure_code: 'agent.killed' });
    expect(ended.message).toMatch(says);
    expect(await lines(taskId)).toEqual(['ready']);
  });

  it('docker restart does not run the agent twice', async () => {
    const { taskId, containerId } = await startReady();
    await docker
      .getContainer(containerId)
      .restart({ t: 0 })
      .catch(() => undefined); // removed meanwhile: as well
    expect(await bench.ended(taskId)).toMatchObject(FAILED);
    expect(readFileSync(join(bench.workspace(taskId), 'began'), 'utf8')).toBe('began\n');
    expect(await lines(taskId)).toEqual(['ready']);
  });

  it('docker rm -f loses the agent', async () => {
    const { taskId, containerId } = await startReady();
    await docker.getContainer(containerId).remove({ force: true });
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...LOST, exit_code: null });
    expect(ended.message).toMatch(/gone/);
    expect(await lines(taskId)).toEqual(['ready']);
  });

  describe('with the server away', () => {
    it('the same container goes on, and every line comes once', async () => {
      const { taskId, containerId } = await startReady(
        sh('echo ready; i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo "line $i"; sleep 0.02; done'),
      );
      const early = await listenOverWebSocket(bench.target(taskId));
      await heard(early, 10);
      const asked = performance.now();
      expect(await bench.server.stop()).toBe(0);
      expect(performance.now() - asked).toBeLessThan(5_000);
      const { State: state } = await docker.getContainer(containerId).inspect();
      expect(state).toMatchObject({ Running: true, ExitCode: 0 });
      await bench.server.start();
      const seen = early.messages.at(-1)?.seq ?? 0;
      const late = await listenOverSocketIo(bench.target(taskId, seen));
      expect(await bench.ended(taskId)).toMatchObject({ ...COMPLETED, instance: { container_id: containerId } });
      const all = await bench.stream(taskId);
      expect((await lines(taskId)).slice(1)).toEqual(Array.from({ length: 150 }, (_, index) => `line ${index + 1}`));
      expect([...early.messages, ...(await heard(late, all.length))]).toEqual(all);
      late.close();
    });

    it('an agent comes to its end, which is found later', async () => {
      const { taskId, containerId } = await startReady(WAITING);
      expect(await bench.server.stop()).toBe(0);
      await touch(containerId, 'go');
      await until('the agent to end', async () => !(await docker.getContainer(containerId).inspect()).State.Running);
      await bench.server.start();
      expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
      expect(await lines(taskId)).toEqual(['ready', 'last']);
    });

    it('a container vanishes, and its last lines are kept', async () => {
      const { taskId, containerId } = await startReady(
        sh('echo ready; until [ -e go ]; do sleep 0.05; done; echo last; touch said; sleep 600 & wait'),
      );
      expect(await bench.server.stop()).toBe(0);
      await touch(containerId, 'go');
      await until('the last line', () => existsSync(join(bench.workspace(taskId), 'said')));
      await docker.getContainer(containerId).remove({ force: true });
      await bench.server.start();
      expect(await bench.ended(taskId)).toMatchObject(LOST);
      expect(await lines(taskId)).toEqual(['ready', 'last']);
    });
  });

  it('containers that nobody owns are removed, those of others are not', async () => {
    const home = readFileSync(join(bench.server.home, 'host-id'), 'utf8').trim();
    const make = async (labels: Record<string, string>) => {
      const Labels = { 'kandev.agent_id': randomUUID(), ...labels };
      const name = `kandev-${Labels['kandev.agent_id']}`;
      const container = await docker.createContainer({
        name,
        Labels,
        Image: 'kandev/demo-agent',
        Cmd: ['sleep', '600'],
      });
      await container.start();
      return container;
    };
    const elsewhere = { 'kandev.home': randomUUID(), 'kandev.home_path': `${bench.server.home}-elsewhere` };
    const others = [await make(elsewhere), await make({})];
    try {
      const { taskId, containerId } = await startReady();
      for (let i = 0; i < 2; i++) {
        await make({ 'kandev.home': home, 'kandev.home_path': bench.server.home });
      }
      expect(await containersOf(bench.server.home)).toHaveLength(3);
      expect(await bench.server.stop()).toBe(0);
      await bench.server.start();
      await until('the orphans to be gone', async () => (await containersOf(bench.server.home)).length === 1);
      expect((await bench.running(taskId)).container_id).toBe(containerId);
      for (const other of others) expect((await other.inspect()).State.Running).toBe(true);
      await bench.admin.post(`/orchestrator/tasks/${taskId}/stop`, { force: true });
      expect(await bench.ended(taskId)).toMatchObject(CANCELLED);
    } finally {
      for (const other of others) await other.remove({ force: true });
    }
  });

  describe('with an engine that comes and goes', () => {
    let other: AgentBench;

    beforeAll(async () => {
      await proxy.open();
      const env = { DOCKER_HOST: proxy.address, KANDEV_STOP_GRACE_SECONDS: '1', OPENAI_API_KEY: 'canary-key' };
      other = await AgentBench.open(env);
    });

    afterEach(() => other.expectQuiet());

    afterAll(async () => {
      await other.close();
      proxy.cut();
    });

    it('a run goes on, and a stop is made good for', async () => {
      const finishing = await startReady(WAITING, other);
      const stopped = await startReady(SLEEPER, other);
      proxy.cut();
      await touch(finishing.containerId, 'go');
      expect((await other.admin.post(`/orchestrator/tasks/${stopped.taskId}/stop`)).status).toBe(200);
      await until('the last line, engine or not', async () => (await other.said(finishing.taskId)).length === 2);
      await until('the server to have tried to stop', () => other.server.log.includes('could not be stopped'));
      for (const { taskId } of [finishing, stopped]) expect((await other.status(taskId)).state).toBe('IN_PROGRESS');
      await proxy.open();
      const { containerId: container_id } = finishing;
      expect(await other.ended(finishing.taskId)).toMatchObject({ ...COMPLETED, instance: { container_id } });
      expect(await other.ended(stopped.taskId)).toMatchObject(CANCELLED);
    });

    it('what is said to it shows no secret in an address', async () => {
      const environment_vars = { KEY: '${OPENAI_API_KEY}' };
      expect(await other.run({ command: sh('test -n "$KEY"'), environment_vars })).toMatchObject(COMPLETED);
      const creation = proxy.requests.find((request) => request.includes('/containers/create'));
      expect(creation).toMatch(/^POST \S+\/create\?name=kandev-[\w-]+$/);
      expect(proxy.requests.join('\n')).not.toContain('canary');
    });

    it('a run waits for it, and says so', async () => {
      const labels = async () =>
        (await query<{ labels: string[] }>(other.server.database.url, 'select labels from agent_hosts'))[0]?.labels;
      proxy.cut();
      await until('the engine to be missed', async () => !(await labels())?.includes('container-engine'));
      const taskId = await other.task({ command: sh('echo back') });
      await other.start(taskId);
      const { run_state, waiting_for } = await other.status(taskId);
      expect([run_state, waiting_for?.reason]).toEqual(['QUEUED', 'host']);
      expect(waiting_for?.message).toContain('container engine');
      await proxy.open();
      expect(await other.ended(taskId)).toMatchObject(COMPLETED);
    });
  });
});
