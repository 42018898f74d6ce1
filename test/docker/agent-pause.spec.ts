import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, CANCELLED, COMPLETED, node, sh, type AgentBody, type AgentRecipe } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { query } from '../support/database.js';
import { StreamFaces } from '../support/stream-faces.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const TICKING = sh('echo ready; n=0; while :; do n=$((n+1)); echo "tick $n"; sleep 0.02; done');
const SLEEPER = sh('echo ready; sleep 600 & wait');

interface Started {
  bench: AgentBench;
  taskId: string;
  agentId: string;
}

/** Starts an agent and waits until it has said something. */
async function startReady(bench: AgentBench, recipe: AgentRecipe): Promise<Started> {
  const taskId = await bench.task(recipe);
  await bench.start(taskId);
  const { id: agentId } = await bench.running(taskId);
  await until('the agent to be ready', async () => (await bench.said(taskId)).length > 0);
  return { bench, taskId, agentId };
}

const ask = ({ bench, taskId }: Started, what: 'pause' | 'resume' | 'stop', body: object = {}) =>
  bench.admin.post<{ run_id: string; state: string }>(`/orchestrator/tasks/${taskId}/${what}`, body);

async function isPaused({ agentId }: Started): Promise<boolean> {
  return (await docker.getContainer(`kandev-${agentId}`).inspect()).State.Paused;
}

/** Waits until run, instance and container say the same. */
async function agreed(started: Started, state: 'PAUSED' | 'RUNNING'): Promise<AgentBody> {
  const { bench, taskId, agentId } = started;
  return until(`run, agent and container to be ${state}`, async () => {
    const { run_state, state: task } = await bench.status(taskId);
    const instance = await bench.instance(agentId);
    const paused = (await isPaused(started)) ? 'PAUSED' : 'RUNNING';
    return task === 'IN_PROGRESS' && run_state === state && instance.status === state && paused === state && instance;
  });
}

/** Waits until the reconcile loop has gone round. */
async function reconciled({ bench }: Started): Promise<void> {
  const beat = async () =>
    (await bench.admin.get<{ last_heartbeat: string }>('/orchestrator/status')).body.last_heartbeat;
  for (let round = 0; round < 2; round++) {
    const before = await beat();
    await until('the next heartbeat', async () => (await beat()) !== before);
  }
}

async function cpuOf({ agentId }: Started): Promise<number> {
  const stats = await docker.getContainer(`kandev-${agentId}`).stats({ stream: false });
  return stats.cpu_stats.cpu_usage.total_usage;
}

/** What the server has told of pauses. */
async function told({ bench, taskId }: Started): Promise<unknown[]> {
  const words = (await bench.stream(taskId)).map(({ data }) => data['message']);
  return words.filter((message) => message === 'the agent is paused' || message === 'the agent goes on');
}

async function end(started: Started): Promise<void> {
  expect((await ask(started, 'stop', { force: true })).status).toBe(200);
  expect(await started.bench.ended(started.taskId)).toMatchObject(CANCELLED);
}

// At the same time, here and below: they wait for the reconcile loop most of the time.
describeWithEngine('pausing an agent', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ KANDEV_MAX_CONCURRENT_RUNS: '5' });
  });

  afterAll(() => bench.close());

  describe.concurrent('with other agents beside it', () => {
    it('holds it still, and lets it go on where it stood', async () => {
      const agent = await startReady(bench, { command: TICKING });
      expect(await ask(agent, 'resume')).toMatchObject({ status: 200, body: { state: 'RUNNING' } });
      const paused = await ask(agent, 'pause');
      expect(paused).toMatchObject({ status: 200, body: { state: 'PAUSED' } });
      const instance = await agreed(agent, 'PAUSED');
      expect(Date.parse(instance.paused_at ?? '')).toBeGreaterThan(Date.parse(instance.started_at ?? ''));
      expect((await ask(agent, 'pause')).body).toEqual(paused.body);

      await until('all that it wrote to be read', async () => {
        const before = (await bench.stream(agent.taskId)).length;
        await reconciled(agent);
        return (await bench.stream(agent.taskId)).length === before;
      });
      const [lines, cpu] = [(await bench.said(agent.taskId)).length, await cpuOf(agent)];
      await reconciled(agent);
      expect([(await bench.said(agent.taskId)).length, await cpuOf(agent)]).toEqual([lines, cpu]);
      expect(await isPaused(agent)).toBe(true);

      expect(await ask(agent, 'resume')).toMatchObject({ status: 200, body: { state: 'RUNNING' } });
      expect(await ask(agent, 'resume')).toMatchObject({ status: 200, body: { state: 'RUNNING' } });
      const going = await agreed(agent, 'RUNNING');
      expect(going).toMatchObject({ paused_at: null, started_at: instance.started_at });
      expect(going.paused_ms).toBeGreaterThan(4_000); // two rounds and more of the reconcile loop
      await until('more lines', async () => (await bench.said(agent.taskId)).length > lines);
      const ticks = (await bench.said(agent.taskId)).slice(1).map(({ data }) => data['message']);
      expect(ticks).toEqual(ticks.map((_, index) => `tick ${index + 1}`));
      expect(await told(agent)).toEqual(['the agent is paused', 'the agent goes on']);
      await end(agent);
    });

    it('is asked for on a socket as well, on each face that takes requests', async () => {
      const agent = await startReady(bench, { command: SLEEPER });
      const { taskId: task_id } = agent;
      const faces = new StreamFaces(bench.server, { token: bench.admin.tokens!.access_token });
      try {
        const [plain, acp] = [await faces.webSocket(`/tasks/${task_id}/stream?types=status`), await faces.socketIo()];
        const receipt = (state: string) => ({ ok: true, run: { task_id, state } });
        expect(await plain.ask({ type: 'control', action: 'pause' })).toMatchObject(receipt('PAUSED'));
        await agreed(agent, 'PAUSED');
        expect(await acp.ask('control', { task_id, action: 'resume' })).toMatchObject(receipt('RUNNING'));
        await agreed(agent, 'RUNNING');
        expect(await acp.ask('control', { task_id, action: 'pause' })).toMatchObject(receipt('PAUSED'));
        await agreed(agent, 'PAUSED');
        expect(await plain.ask({ type: 'control', action: 'resume' })).toMatchObject(receipt('RUNNING'));
        await agreed(agent, 'RUNNING');
        await until('all of it to be told', () => plain.messages.length === 4);
        const statuses = plain.messages.map(({ data }) => (data as { status: string }).status);
        expect(statuses).toEqual(['PAUSED', 'RUNNING', 'PAUSED', 'RUNNING']);
      } finally {
        faces.close();
      }
      await end(agent);
    });

    it('is no obstacle to a stop, which it hears', async () => {
      const listening = node(
        `process.on('SIGTERM', () => { console.log('goodbye'); process.exit(0); }); setInterval(() => {}, 1000); console.log('ready')`,
      );
      const agent = await startReady(bench, { command: listening });
      await ask(agent, 'pause');
      await agreed(agent, 'PAUSED');
      expect(await ask(agent, 'stop')).toMatchObject({ status: 200, body: { state: 'STOPPING' } });
      expect(await ask(agent, 'resume')).toMatchObject({ status: 409 });
      const ended = await bench.ended(agent.taskId);
      expect(ended).toMatchObject({ ...CANCELLED, exit_code: 0, instance: { paused_at: null } });
      expect((await bench.said(agent.taskId)).map(({ data }) => data['message'])).toEqual(['ready', 'goodbye']);
    });

    it('is what the run says, whatever is done by hand', async () => {
      const agent = await startReady(bench, { command: SLEEPER });
      const container = docker.getContainer(`kandev-${agent.agentId}`);
      await container.pause();
      await agreed(agent, 'RUNNING');
      await ask(agent, 'pause');
      await agreed(agent, 'PAUSED');
      await container.unpause();
      await agreed(agent, 'PAUSED');
      expect(await told(agent)).toEqual(['the agent is paused']);
      await end(agent);
    });

    it('by many at once ends with what was wanted last', async () => {
      const agent = await startReady(bench, { command: TICKING });
      const wishes = Array.from({ length: 20 }, (_, n) => ask(agent, n % 2 === 0 ? 'pause' : 'resume'));
      for (const { status } of await Promise.all(wishes)) expect(status).toBe(200);
      await ask(agent, 'pause');
      await agreed(agent, 'PAUSED');
      await ask(agent, 'resume');
      await agreed(agent, 'RUNNING');
      await end(agent);
    });
  });
});

describeWithEngine('pausing an agent of a server that restarts', () => {
  describe.concurrent('with a server of its own', () => {
    it('stops its clocks: a pause longer than every limit ends nothing', async () => {
      const bench = await AgentBench.open();
      try {
        const timeouts = { inactivity_timeout_seconds: 4, wall_clock_timeout_seconds: 5 };
        const work = sh('echo ready; n=0; while [ $n -lt 25 ]; do n=$((n+1)); sleep 0.1; done; echo last');
        const agent = await startReady(bench, { command: work, task_timeouts: timeouts });
        await ask(agent, 'pause');
        await agreed(agent, 'PAUSED');
        await until('the pause to be longer than the limits', async () => {
          const sql =
            'select extract(epoch from now() - paused_at)::float8 as seconds from agent_instances where id = $1';
          const [row] = await query<{ seconds: number }>(bench.server.database.url, sql, [agent.agentId]);
          return (row?.seconds ?? 0) > 6;
        });
        await bench.server.kill();
        await bench.server.start(); // nor does a restart count it
        await reconciled(agent);
        await agreed(agent, 'PAUSED');
        await ask(agent, 'resume');
        expect(await bench.ended(agent.taskId)).toMatchObject(COMPLETED);
        expect((await bench.said(agent.taskId)).map(({ data }) => data['message'])).toEqual(['ready', 'last']);
      } finally {
        await bench.close();
      }
    });

    it('outlives a restart of the server, and its end', async () => {
      const bench = await AgentBench.open();
      try {
        const agent = await startReady(bench, { command: SLEEPER });
        await ask(agent, 'pause');
        await agreed(agent, 'PAUSED');
        expect(await bench.server.stop()).toBe(0);
        expect(await isPaused(agent)).toBe(true);
        await bench.server.start();
        await reconciled(agent);
        await agreed(agent, 'PAUSED');
        await ask(agent, 'resume');
        await agreed(agent, 'RUNNING');
        await ask(agent, 'pause');
        await agreed(agent, 'PAUSED');
        await docker.getContainer(`kandev-${agent.agentId}`).remove({ force: true });
        expect(await bench.ended(agent.taskId)).toMatchObject({ task: 'FAILED', failure_code: 'agent.lost' });
      } finally {
        await bench.close();
      }
    });
  });
});

describeWithEngine('a server that is killed between the wish to pause and its fulfilment', () => {
  describe.concurrent.each(['run.hold_recorded', 'agent.holding', 'agent.held'])('at %s', (point) => {
    it.each([
      { wish: 'pause', nth: 1, state: 'PAUSED' },
      { wish: 'resume', nth: 2, state: 'RUNNING' },
    ] as const)('makes good for a $wish', async ({ nth, state, wish }) => {
      const bench = await AgentBench.open({ KANDEV_FAULT_POINT: `${point}:${nth}` });
      try {
        const agent = await startReady(bench, { command: SLEEPER });
        if (wish === 'resume') {
          await ask(agent, 'pause');
          await agreed(agent, 'PAUSED');
        }
        await ask(agent, wish).catch(() => undefined); // it dies in the answer
        expect(await bench.server.ended()).toBe('SIGKILL');
        bench.server.clear('KANDEV_FAULT_POINT');
        await bench.server.start();
        const instance = await agreed(agent, state);
        expect(instance.paused_at === null).toBe(state === 'RUNNING');
        expect(await told(agent)).toEqual(
          wish === 'pause' ? ['the agent is paused'] : ['the agent is paused', 'the agent goes on'],
        );
        await ask(agent, 'stop', { force: true });
        expect(await bench.ended(agent.taskId)).toMatchObject(CANCELLED);
      } finally {
        await bench.close();
      }
    });
  });
});
