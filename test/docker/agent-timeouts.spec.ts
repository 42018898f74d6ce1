import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { AgentBench, COMPLETED, FAILED, sh } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { query } from '../support/database.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const CHATTY = sh('echo ready; while :; do echo more; sleep 0.1; done');
const SILENT = sh('echo ready; sleep 600 & wait');
const TIMEOUT = { ...FAILED, failure_code: 'agent.timeout' };
const INACTIVE = { ...FAILED, failure_code: 'agent.inactive' };

describeWithEngine('the time that an agent may take', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open();
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  /** Milliseconds that it ran, by the rows. */
  function ran({ started_at, stopped_at }: { started_at: string | null; stopped_at: string | null }): number {
    return Date.parse(stopped_at ?? '') - Date.parse(started_at ?? '');
  }

  async function olderThan(seconds: number, agentId: string): Promise<void> {
    const sql = 'select extract(epoch from now() - started_at)::float8 as seconds from agent_instances where id = $1';
    await until(`the agent to be ${seconds} s old`, async () => {
      const [row] = await query<{ seconds: number }>(bench.server.database.url, sql, [agentId]);
      return (row?.seconds ?? 0) > seconds;
    });
  }

  it('is limited by its agent type, however much it says', async () => {
    const ended = await bench.run({ command: CHATTY, wall_clock_timeout_seconds: 2 });
    expect(ended).toMatchObject(TIMEOUT);
    expect(ended.message).toMatch(/within 2 s.*agent type.*KANDEV_WALL_CLOCK_TIMEOUT_SECONDS/);
    expect(ran(ended.instance)).toBeGreaterThanOrEqual(2_000);
    expect(ended.instance).toMatchObject({ wall_clock_timeout_seconds: 2, inactivity_timeout_seconds: 3600 });
  });

  it('is limited by its task, which comes first', async () => {
    const recipe = { command: CHATTY, wall_clock_timeout_seconds: 600, inactivity_timeout_seconds: 1 };
    const ended = await bench.run({ ...recipe, task_timeouts: { wall_clock_timeout_seconds: 2 } });
    expect(ended).toMatchObject(TIMEOUT);
    expect(ended.message).toMatch(/within 2 s, the limit that its task sets/);
    expect(ended.instance).toMatchObject({ wall_clock_timeout_seconds: 2, inactivity_timeout_seconds: 1 });
  });

  it('is limited where it says nothing: by the task, else by the agent type', async () => {
    const ofTask = await bench.run({
      ...{ command: SILENT, inactivity_timeout_seconds: 600 },
      task_timeouts: { inactivity_timeout_seconds: 1 },
    });
    expect(ofTask).toMatchObject(INACTIVE);
    expect(ofTask.message).toMatch(/nothing for 1 s, the limit that its task sets/);
    expect(await bench.run({ command: SILENT, inactivity_timeout_seconds: 1 })).toMatchObject(INACTIVE);
  });

  it('is what it was when the attempt began', async () => {
    const taskId = await bench.task({ command: SILENT, wall_clock_timeout_seconds: 3 });
    await bench.start(taskId);
    await bench.running(taskId);
    const { status } = await bench.admin.put(`/tasks/${taskId}`, { wall_clock_timeout_seconds: 3_000 });
    expect(status).toBe(200);
    expect(await bench.ended(taskId)).toMatchObject(TIMEOUT);
  });

  it('goes on while the server is away: by the clock on the wall, and by silence', async () => {
    const limits = [{ wall_clock_timeout_seconds: 4 }, { inactivity_timeout_seconds: 4 }];
    const tasks: string[] = [];
    for (const task_timeouts of limits) {
      const taskId = await bench.task({ command: SILENT, task_timeouts });
      await bench.start(taskId);
      tasks.push(taskId);
    }
    const agents: string[] = [];
    for (const taskId of tasks) agents.push((await bench.running(taskId)).id);
    await bench.server.kill();
    for (const agent of agents) await olderThan(5, agent);
    await bench.server.start();
    const [late, silent] = [await bench.ended(tasks[0] ?? ''), await bench.ended(tasks[1] ?? '')];
    expect(late).toMatchObject(TIMEOUT);
    expect(silent).toMatchObject(INACTIVE);
  });

  it('does not count against one that has ended by itself meanwhile, or that has said something', async () => {
    const timeouts = { wall_clock_timeout_seconds: 5 };
    const finished = await bench.task({ command: sh('echo ready; sleep 2; echo last'), task_timeouts: timeouts });
    const quiet = { inactivity_timeout_seconds: 3 };
    const talking = await bench.task({
      command: sh('n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo $n; sleep 0.2; done'),
      task_timeouts: quiet,
    });
    for (const taskId of [finished, talking]) await bench.start(taskId);
    const [first, second] = [await bench.running(finished), await bench.running(talking)];
    await bench.server.kill();
    await olderThan(6, first.id);
    await olderThan(4, second.id);
    await until('the first to have ended', async () => {
      return !(await docker.getContainer(`kandev-${first.id}`).inspect()).State.Running;
    });
    await bench.server.start();
    expect(await bench.ended(finished)).toMatchObject(COMPLETED);
    expect(await bench.ended(talking)).toMatchObject(COMPLETED);
  });
});
