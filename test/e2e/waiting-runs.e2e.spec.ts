import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { makeRepository } from '../support/repository.js';
import { TestServer } from '../support/server.js';
import type { TaskBody, TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface StatusBody {
  state: string;
  run_id: string | null;
  run_state: string | null;
  attempt: number | null;
  waiting_for: {
    reason: string;
    tasks: { task_id: string; title: string; state: string }[];
    position: number | null;
  } | null;
}

let server: TestServer;
let user: TestUser;
let board: string;
/** Agents: one that works until its workspace has a file `go`, one that fails, one that is done at once. */
const AGENTS = { patient: 'until [ -e go ]; do sleep 0.05; done', hapless: 'exit 3', quick: 'echo done' };

async function open(env: Record<string, string> = {}): Promise<void> {
  server = await TestServer.start(env);
  user = await server.newUser();
  board = await user.createBoard();
  for (const [name, script] of Object.entries(AGENTS))
    await user.createAgentType({ name, runtime: 'process', command: ['sh', '-c', script] });
}

const task = (title: string, agent_type: keyof typeof AGENTS | null, fields: Record<string, unknown> = {}) =>
  user.createTask(board, { title, ...(agent_type === null ? {} : { agent_type }), ...fields });
const setDependencies = (id: string, depends_on: string[]) => user.must(200, 'PUT', `/tasks/${id}`, { depends_on });
const start = (id: string) => user.must(202, 'POST', `/orchestrator/tasks/${id}/start`);
const status = (id: string) => user.must<StatusBody>(200, 'GET', `/orchestrator/tasks/${id}/status`);
const letGo = (id: string) => writeFileSync(join(server.home, 'workspaces', id, 'workspace/go'), '');
const agentsOf = (id: string) => query(server.database.url, 'select 1 from agent_instances where task_id = $1', [id]);

/** Waits until the task's run waits for exactly one task, and returns that. */
const untilWaitsFor = (id: string, state: string) =>
  until(`task ${id} to wait for one in ${state}`, async () => {
    const { waiting_for } = await status(id);
    return waiting_for?.reason === 'dependencies' && waiting_for.tasks[0]?.state === state && waiting_for.tasks[0];
  });

describe('a run whose task depends on another', () => {
  beforeAll(() => open());
  afterAll(() => server.dispose());

  /** Two tasks, the second of which depends on the first. */
  async function pair(agent: keyof typeof AGENTS | null): Promise<[first: TaskBody, second: TaskBody]> {
    const first = await task('First', agent);
    return [first, await task('Second', 'quick', { depends_on: [first.id] })];
  }

  it('waits in the queue, says for what, and starts when that is completed', async () => {
    const [first, second] = await pair('patient');
    await start(second.id);
    await start(first.id);
    await user.untilRun(first.id, ['RUNNING']);
    expect(await untilWaitsFor(second.id, 'IN_PROGRESS')).toEqual({
      ...{ task_id: first.id, title: 'First', state: 'IN_PROGRESS' },
    });
    expect(await status(second.id)).toMatchObject({ state: 'TODO', run_state: 'QUEUED', attempt: 0 });
    expect((await status(first.id)).waiting_for).toBeNull();
    const { tasks, total } = await user.must<{ tasks: object[]; total: number }>(200, 'GET', '/orchestrator/queue');
    expect(total).toBe(1);
    expect(tasks).toMatchObject([{ task_id: second.id, waits_for_tasks: true, position: null, estimated_start: null }]);
    letGo(first.id);
    await user.untilTask(second.id, ['COMPLETED']);
    expect(await status(second.id)).toMatchObject({ attempt: 1, waiting_for: null });
  });

  it('works on the repository that was asked for, whoever edits the task while it waits', async () => {
    const first = await task('First', 'patient');
    const [asked, later] = [1, 2].map(() => makeRepository(server.directory));
    const second = await task('Second', 'quick', { depends_on: [first.id], repository_url: asked });
    await start(second.id);
    await user.must(200, 'PUT', `/tasks/${second.id}`, { repository_url: later });
    await start(first.id);
    await user.untilRun(first.id, ['RUNNING']);
    letGo(first.id);
    await user.untilTask(second.id, ['COMPLETED']);
    const workspaces = 'select repository_url from workspaces where task_id = $1';
    expect(await query(server.database.url, workspaces, [second.id])).toEqual([{ repository_url: asked }]);
  });

  it('goes on waiting when that fails, by force as well, and starts when it depends on it no longer', async () => {
    const [first, second] = await pair('hapless');
    await start(second.id);
    await start(first.id);
    await untilWaitsFor(second.id, 'FAILED');
    const forced = await user.post('/orchestrator/trigger', { task_id: second.id, force: true });
    expect(forced).toMatchObject({ status: 409, body: { code: 'run.already_live' } });
    expect(await status(second.id)).toMatchObject({ run_state: 'QUEUED', attempt: 0 });
    await setDependencies(second.id, []);
    await user.untilTask(second.id, ['COMPLETED']);
  });

  it('starts when that is deleted', async () => {
    const [first, second] = await pair(null);
    await start(second.id);
    await untilWaitsFor(second.id, 'TODO');
    await user.must(204, 'DELETE', `/tasks/${first.id}`);
    await user.untilTask(second.id, ['COMPLETED']);
  });

  it('starts when a person has completed that', async () => {
    const [first, second] = await pair(null);
    await start(second.id);
    for (const state of ['IN_PROGRESS', 'COMPLETED']) {
      await untilWaitsFor(second.id, state === 'COMPLETED' ? 'IN_PROGRESS' : 'TODO');
      await user.must(200, 'PATCH', `/tasks/${first.id}/state`, { state });
    }
    await user.untilTask(second.id, ['COMPLETED']);
  });

  it('can be stopped while it waits', async () => {
    const [, second] = await pair(null);
    await start(second.id);
    const stopped = await user.must<{ state: string }>(200, 'POST', `/orchestrator/tasks/${second.id}/stop`);
    expect(stopped.state).toBe('CANCELLED');
    await user.untilTask(second.id, ['CANCELLED']);
    expect(await agentsOf(second.id)).toEqual([]);
  });

  it('of a chain made with auto_start runs through it in order; nobody can close the chain to a ring', async () => {
    const chain: TaskBody[] = [];
    for (const title of ['One', 'Two', 'Three']) {
      const depends_on = chain.slice(-1).map(({ id }) => id);
      chain.push(await task(title, title === 'One' ? 'patient' : 'quick', { depends_on, auto_start: true }));
    }
    const [one, two, three] = chain.map(({ id }) => id) as [string, string, string];
    await user.untilRun(one, ['RUNNING']);
    await untilWaitsFor(three, 'TODO');
    const ring = await user.put(`/tasks/${one}`, { depends_on: [three] });
    expect(ring).toMatchObject({ status: 409, body: { code: 'task.dependency_cycle' } });
    letGo(one);
    await user.untilTask(three, ['COMPLETED']);
    const runs = await query<{ task_id: string }>(
      server.database.url,
      'select task_id from runs where task_id = any($1) order by started_at, finished_at',
      [[one, two, three]],
    );
    expect(runs.map(({ task_id }) => task_id)).toEqual([one, two, three]);
  });
});

describe('a waiting run, when the server is killed', () => {
  it('and the news of the completion is lost, starts all the same', async () => {
    await open();
    try {
      const first = await task('First', null);
      const second = await task('Second', 'quick', { depends_on: [first.id] });
      await start(second.id);
      await untilWaitsFor(second.id, 'TODO');
      await server.kill();
      await query(server.database.url, `update tasks set state = 'COMPLETED' where id = $1`, [first.id]);
      await query(server.database.url, 'delete from outbox_events');
      await server.start();
      await user.untilTask(second.id, ['COMPLETED']);
    } finally {
      await server.dispose();
    }
  });

  it('between claim and launch, goes back into the queue if its task has to wait by then', async () => {
    await open({ KANDEV_FAULT_POINT: 'run.claimed' });
    try {
      const [first, second] = [await task('First', null), await task('Second', 'quick')];
      await user.post(`/orchestrator/tasks/${second.id}/start`).catch(() => undefined); // it may die in the answer
      expect(await server.ended()).toBe('SIGKILL');
      const edge = [second.id, first.id];
      await query(server.database.url, 'insert into task_dependencies (task_id, depends_on_id) values ($1, $2)', edge);
      server.clear('KANDEV_FAULT_POINT');
      await server.start();
      await untilWaitsFor(second.id, 'TODO');
      expect(await status(second.id)).toMatchObject({ state: 'TODO', attempt: 0 });
      expect(await agentsOf(second.id)).toEqual([]);
      for (const state of ['IN_PROGRESS', 'COMPLETED'])
        await user.must(200, 'PATCH', `/tasks/${first.id}/state`, { state });
      await user.untilTask(second.id, ['COMPLETED']);
      expect(await status(second.id)).toMatchObject({ attempt: 1 });
      expect(await agentsOf(second.id)).toHaveLength(1);
    } finally {
      await server.dispose();
    }
  });
});
