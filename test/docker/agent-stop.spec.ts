import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { AgentBench, CANCELLED, COMPLETED, node, sh } from '../support/agents.js';
import { containersOf, docker } from '../support/containers.js';
import { query } from '../support/database.js';
import { leftovers } from '../support/leftovers.js';
import { Registry } from '../support/registry.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const GRACE_SECONDS = 2;
const SLEEPER = sh('echo ready; sleep 600 & wait');

describeWithEngine('stopping an agent', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({
      KANDEV_STOP_GRACE_SECONDS: String(GRACE_SECONDS),
      KANDEV_MAX_CONCURRENT_RUNS: '2',
      KANDEV_ALLOWED_PRIVATE_RANGES: '127.0.0.1/32', // repositories on this machine
    });
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  /** Starts an agent and waits until it has said `ready`. */
  async function startReady(command: string[]): Promise<{ taskId: string; agentId: string }> {
    const taskId = await bench.task({ command });
    await bench.start(taskId);
    const { id: agentId } = await bench.running(taskId);
    await until('the agent to be ready', async () => (await lines(taskId)).includes('ready'));
    return { taskId, agentId };
  }

  async function lines(taskId: string): Promise<unknown[]> {
    return (await bench.said(taskId)).map(({ data }) => data['message'] ?? data['action']);
  }

  async function stop(taskId: string, body: object = {}): Promise<void> {
    const { status } = await bench.admin.post(`/orchestrator/tasks/${taskId}/stop`, body);
    expect(status).toBe(200);
  }

  /** Milliseconds from the wish to the end, by the rows. */
  async function tookMs(agentId: string): Promise<number> {
    const [row] = await query<{ ms: string }>(
      bench.server.database.url,
      'select extract(epoch from stopped_at - stop_requested_at) * 1000 as ms from agent_instances where id = $1',
      [agentId],
    );
    return Number(row?.ms);
  }

  it('asks first: its last words are kept', async () => {
    const { taskId, agentId } = await startReady(
      node(`
        const say = (message) => console.log(JSON.stringify({ type: 'log', data: { message } }));
        let heard = '';
        process.stdin.on('data', (chunk) => {
          heard += chunk;
          if (heard.includes('\\n')) say('control: ' + JSON.parse(heard).action);
        });
        process.on('SIGTERM', () => setTimeout(() => { say('cleaning up'); say('goodbye'); process.exit(0); }, 200));
        say('ready');
      `),
    );
    await stop(taskId, { reason: 'Lunch' });
    expect(await bench.ended(taskId)).toMatchObject({ ...CANCELLED, exit_code: 0 });
    expect(await lines(taskId)).toEqual(['ready', 'control: stop', 'cleaning up', 'goodbye']);
    expect(await tookMs(agentId)).toBeLessThan(GRACE_SECONDS * 1000);
    const messages = await bench.stream(taskId);
    expect(messages.map(({ data }) => data)).toContainEqual(expect.objectContaining({ reason: 'Lunch' }));
    const { body } = await bench.admin.get<{ events: { new_state: string; metadata: object }[] }>(
      `/tasks/${taskId}/events`,
    );
    expect(body.events.at(-1)).toMatchObject({ new_state: 'CANCELLED', metadata: { reason: 'Lunch' } });
  });

  it('kills one that does not listen, after the grace time', async () => {
    const { taskId, agentId } = await startReady(sh(`trap '' TERM; echo ready; while :; do sleep 1; done`));
    await stop(taskId);
    expect((await bench.status(taskId)).run_state).toBe('STOPPING');
    expect(await bench.ended(taskId)).toMatchObject({ ...CANCELLED, exit_code: 137 });
    const took = await tookMs(agentId);
    expect(took).toBeGreaterThanOrEqual(GRACE_SECONDS * 1000 - 100);
    expect(took).toBeLessThan(GRACE_SECONDS * 1000 + 5_000);
  });

  it('kills at once with force, also one that was asked before', async () => {
    const { taskId, agentId } = await startReady(sh(`trap '' TERM; echo ready; while :; do sleep 1; done`));
    await stop(taskId);
    await stop(taskId, { force: true });
    expect(await bench.ended(taskId)).toMatchObject({ ...CANCELLED, exit_code: 137 });
    expect(await tookMs(agentId)).toBeLessThan(GRACE_SECONDS * 1000);
  });

  it('by its own address ends run and task, too, and a second time changes nothing', async () => {
    const { taskId, agentId } = await startReady(SLEEPER);
    const answers = await Promise.all(Array.from({ length: 5 }, () => bench.admin.post(`/agents/${agentId}/stop`)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject(CANCELLED);
    expect((await bench.admin.post(`/agents/${agentId}/stop`)).body).toMatchObject({ status: 'STOPPED' });
    expect(await bench.admin.post(`/orchestrator/tasks/${taskId}/stop`)).toMatchObject({
      status: 409,
      body: { code: 'run.none_live' },
    });
    expect((await bench.stream(taskId)).filter(({ data }) => data['message'] === 'stopping on request')).toHaveLength(
      1,
    );
    expect(await bench.ended(taskId)).toEqual(ended);
  });

  it('of a paused container works', async () => {
    const { taskId, agentId } = await startReady(SLEEPER);
    await docker.getContainer(`kandev-${agentId}`).pause();
    await stop(taskId);
    expect(await bench.ended(taskId)).toMatchObject(CANCELLED);
  });

  it('is no failure when the agent finishes its work meanwhile', async () => {
    const { taskId } = await startReady(
      node(`
        process.on('SIGTERM', () => {
          console.log(JSON.stringify({ type: 'result', data: { status: 'completed', summary: 'Just in time' } }));
          process.exit(0);
        });
        console.log('ready');
        setInterval(() => {}, 1000);
      `),
    );
    await stop(taskId);
    expect(await bench.ended(taskId)).toMatchObject({ ...COMPLETED, instance: { result_summary: 'Just in time' } });
  });

  it('while its repository is being cloned', async () => {
    const silent = await listenSilently();
    try {
      const { port } = silent.address() as AddressInfo;
      const taskId = await bench.task({ command: SLEEPER, repository_url: `git://127.0.0.1:${port}/x` });
      const connected = once(silent, 'connection');
      await bench.start(taskId);
      await connected;
      const asked = performance.now();
      await stop(taskId);
      expect(await bench.ended(taskId)).toMatchObject({ ...CANCELLED, exit_code: null });
      expect(performance.now() - asked).toBeLessThan(5_000);
      expect(readdirSync(bench.workspace(taskId))).toEqual([]);
      expect(await lines(taskId)).toEqual([]);
    } finally {
      silent.close();
    }
  });

  it('while its image is being pulled; asked for again, it is the same', async () => {
    const registry = new Registry(2, 1_000_000, (await docker.version()).Arch);
    await registry.open();
    registry.holdLayers();
    try {
      const taskId = await bench.task({ command: SLEEPER, docker_image: registry.image, docker_tag: 'latest' });
      await bench.start(taskId);
      await until('the pull to be told of', async () => {
        const told = await bench.stream(taskId);
        return told.some(({ data }) => typeof data['percent'] === 'number' || typeof data['progress'] === 'number');
      });
      const asked = performance.now();
      await Promise.all([stop(taskId, { reason: 'Lunch' }), stop(taskId), stop(taskId, { force: true })]);
      expect(await bench.ended(taskId)).toMatchObject({ ...CANCELLED, exit_code: null });
      expect(performance.now() - asked).toBeLessThan(5_000);
      await until('nothing to be left', async () => (await leftovers(bench.server.home)).length === 0);
    } finally {
      registry.goOn();
      registry.close();
    }
  });

  it.each([
    { place: 'clone', delays: Array.from({ length: 15 }, (_, index) => 4 * index) },
    { place: 'container', delays: Array.from({ length: 12 }, (_, index) => 40 * index) },
  ])('at any moment between its start and its $place', async ({ place, delays }) => {
    const silent = await listenSilently();
    try {
      const { port } = silent.address() as AddressInfo;
      const repository_url = place === 'clone' ? `git://127.0.0.1:${port}/x` : undefined;
      for (const delay of delays) {
        const taskId = await bench.task({ command: SLEEPER, repository_url });
        await bench.start(taskId);
        await sleep(delay); // what it hits is chance; any place must be right
        await stop(taskId);
        await until(`a run stopped after ${delay} ms to end`, async () => {
          const { state, run_state, failure_code } = await bench.status(taskId);
          return state === 'CANCELLED' && run_state === 'CANCELLED' && failure_code === null;
        });
      }
    } finally {
      silent.close();
    }
  });

  it('of a queued run ends it without an agent', async () => {
    const busy = [await startReady(SLEEPER), await startReady(SLEEPER)];
    const taskId = await bench.task({ command: SLEEPER });
    await bench.start(taskId);
    expect(await bench.status(taskId)).toMatchObject({ run_state: 'QUEUED', agent_instance_id: null });
    await stop(taskId);
    const status = await until('the task to follow', async () => {
      const now = await bench.status(taskId);
      return now.state === 'CANCELLED' && now;
    });
    expect(status).toMatchObject({ run_state: 'CANCELLED', agent_instance_id: null, attempt: 0 });
    for (const { taskId: other } of busy) {
      await stop(other, { force: true });
      expect(await bench.ended(other)).toMatchObject(CANCELLED);
    }
  });

  it('by moving the card; moving it back and forth runs it again', async () => {
    const taskId = await bench.task({ command: SLEEPER });
    const move = (state: string) => bench.admin.patch(`/tasks/${taskId}/state`, { state });
    expect((await move('IN_PROGRESS')).status).toBe(200);
    const first = await bench.running(taskId);
    expect((await move('CANCELLED')).status).toBe(200);
    expect(await bench.ended(taskId)).toMatchObject(CANCELLED);
    expect((await move('TODO')).status).toBe(200);
    expect((await move('IN_PROGRESS')).status).toBe(200);
    const second = await bench.running(taskId);
    expect(second.id).not.toBe(first.id);
    expect((await move('CANCELLED')).status).toBe(200);
    expect(await bench.ended(taskId)).toMatchObject({ ...CANCELLED, instance: { id: second.id } });
    const messages = await bench.stream(taskId);
    expect(new Set(messages.map(({ run_id }) => run_id))).toEqual(new Set([first.run_id, second.run_id]));
  });

  it('of many starts at once leaves one', async () => {
    const taskId = await bench.task({ command: SLEEPER });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => bench.admin.post(`/orchestrator/tasks/${taskId}/start`)),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    const refused = answers.filter(({ status }) => status !== 202);
    expect(refused.map(({ status, body }) => `${status} ${body.code}`)).toEqual(
      refused.map(() => '409 run.already_live'),
    );
    const { id } = await bench.running(taskId);
    expect((await containersOf(bench.server.home)).map(({ Names }) => Names)).toEqual([[`/kandev-${id}`]]);
    expect(await bench.admin.delete(`/tasks/${taskId}`)).toMatchObject({
      status: 409,
      body: { code: 'task.run_live' },
    });
    await stop(taskId, { force: true });
    expect(await bench.ended(taskId)).toMatchObject(CANCELLED);
    expect((await bench.admin.delete(`/tasks/${taskId}`)).status).toBe(204);
  });
});

/** A listener that takes connections and never says a word. */
async function listenSilently(): Promise<Server> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
