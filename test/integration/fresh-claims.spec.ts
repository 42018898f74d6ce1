import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/common/config/config.js';
import { LaunchGate } from '../../src/modules/orchestrator/app/launch-gate.js';
import { RunDriver } from '../../src/modules/orchestrator/app/run-driver.js';
import type { ClaimedRun } from '../../src/modules/orchestrator/app/run-rows.js';
import { DispatchTaskCommand } from '../../src/modules/task/contracts/task.commands.js';
import { createDatabase, query } from '../support/database.js';

/** The whole application without its background loops: nobody claims, and nothing of the outbox is delivered. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let board_id: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));
const user_id = randomUUID();

beforeAll(async () => {
  database = await createDatabase();
  app = await createApp(loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '5' }), database.url);
  await app.init();
  await rows(`insert into users (id, email, username, password_hash) values ($1, 'o@example.com', 'o', 'x')`, [
    user_id,
  ]);
});

afterAll(async () => {
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  board_id = randomUUID();
  await rows(`insert into boards (id, name, owner_id) values ($1, 'b', $2)`, [board_id, user_id]);
});

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);
const dispatch = (task_id: string, run_id: string) =>
  app.get(CommandBus).execute(new DispatchTaskCommand(task_id, run_id));
const drive = (run: ClaimedRun) => app.get(RunDriver, { strict: false }).drive(run);
const isClear = (run: ClaimedRun) => app.get(LaunchGate, { strict: false }).isClear(run);

async function newTask(state = 'TODO'): Promise<string> {
  const [task] = await rows<{ id: string }>(
    `insert into tasks (board_id, title, description, state, agent_type, created_by)
     values ($1, 'T', 'd', $2, 'demo-agent', $3) returning id`,
    [board_id, state, user_id],
  );
  return task?.id ?? '';
}

/** A run of the task as it is a moment after its claim. */
async function claimed(task_id: string): Promise<ClaimedRun> {
  const id = randomUUID();
  await rows(
    `insert into runs (id, task_id, board_id, agent_type, state, attempt, epoch)
     values ($1, $2, $3, 'demo-agent', 'STARTING', 1, 1)`,
    [id, task_id, board_id],
  );
  const claim = { state: 'STARTING', attempt: 1, epoch: 1, stop_reason: null, stop_force: false } as const;
  const of = { id, task_id, agent_type: 'demo-agent', repository_url: null, branch: null, requested_by: null };
  return { ...of, ...claim, waited_seconds: 0 };
}

const depend = (task_id: string, on: string) =>
  rows('insert into task_dependencies (task_id, depends_on_id) values ($1, $2)', [task_id, on]);
const limit = (max: number) =>
  rows(`insert into board_wip_limits (board_id, state, max_tasks) values ($1, 'IN_PROGRESS', $2)`, [board_id, max]);
const taskRow = async (id: string) =>
  (await rows('select state, version, dispatched_run_id from tasks where id = $1', [id]))[0];
const runRow = async ({ id }: ClaimedRun) =>
  (await rows('select state, attempt, waits_for_tasks from runs where id = $1', [id]))[0];
const history = (id: string) =>
  rows('select old_state, new_state, metadata from task_events where task_id = $1 order by id', [id]);

describe('the dispatch of a task', () => {
  it('puts it into progress with its line of history, once for each run', async () => {
    const [id, run] = [await newTask(), randomUUID()];
    expect(await dispatch(id, run)).toMatchObject({ id, board_id, state: 'IN_PROGRESS', description: 'd' });
    expect(await taskRow(id)).toEqual({ state: 'IN_PROGRESS', version: 2, dispatched_run_id: run });
    expect(await history(id)).toEqual([{ old_state: 'TODO', new_state: 'IN_PROGRESS', metadata: { run_id: run } }]);
    expect(await rows('select topic from outbox_events where aggregate_id = $1', [id])).toHaveLength(1);
    expect(await dispatch(id, run)).toMatchObject({ state: 'IN_PROGRESS' });
    expect(await taskRow(id)).toMatchObject({ version: 2 });
  });

  it('waits for what it depends on, and for a place in its column', async () => {
    const [id, other] = [await newTask(), await newTask('IN_PROGRESS')];
    await depend(id, other);
    expect(await dispatch(id, randomUUID())).toBeNull();
    await rows(`delete from task_dependencies`);
    await limit(1);
    expect(await dispatch(id, randomUUID())).toBeNull();
    expect(await taskRow(id)).toEqual({ state: 'TODO', version: 1, dispatched_run_id: null });
    expect(await history(id)).toEqual([]);
    await rows(`update tasks set state = 'COMPLETED' where id = $1`, [other]);
    expect(await dispatch(id, randomUUID())).toMatchObject({ state: 'IN_PROGRESS' });
  });

  it('says that there is no such task', async () => {
    await expect(dispatch(randomUUID(), randomUUID())).rejects.toMatchObject({ code: 'task.not_found' });
  });
});

describe('a claim', () => {
  it('is clear while it holds and no budget is used up', async () => {
    const run = await claimed(await newTask());
    expect(await isClear(run)).toBe(true);
    expect(await isClear({ ...run, epoch: 2 })).toBe(false);
    const budget = `insert into budgets (scope, subject, period, messages) values ('board', $1, 'total', $2)`;
    await rows(budget, [board_id, 5]);
    expect(await isClear(run)).toBe(true);
    await rows('update budgets set messages = 0');
    expect(await isClear(run)).toBe(false);
    await rows('delete from budgets');
    await rows(`update runs set state = 'STOPPING' where id = $1`, [run.id]);
    expect(await isClear(run)).toBe(false);
  });

  it('goes back into the queue where its task has to wait after all', async () => {
    const task = await newTask();
    await depend(task, await newTask());
    const run = await claimed(task);
    await drive(run);
    expect(await runRow(run)).toEqual({ state: 'QUEUED', attempt: 0, waits_for_tasks: true });
    expect(await taskRow(task)).toMatchObject({ state: 'TODO', version: 1 });
  });

  it('never goes back beside an agent, not even one that it should not have yet', async () => {
    const task = await newTask();
    await depend(task, await newTask());
    const run = await claimed(task);
    await rows(
      `insert into agent_instances
         (id, task_id, board_id, run_id, attempt, epoch, agent_type, runtime, image_name, status)
       values ($1, $2, $3, $4, 1, 1, 'demo-agent', 'docker', 'demo', 'COMPLETED')`,
      [randomUUID(), task, board_id, run.id],
    );
    await drive(run);
    expect(await runRow(run)).toMatchObject({ state: 'COMPLETED', attempt: 1 });
  });

  it('that is stopped before it has an agent ends there', async () => {
    const task = await newTask();
    const run = await claimed(task);
    await rows(`update runs set state = 'STOPPING' where id = $1`, [run.id]);
    await drive(run);
    expect(await runRow(run)).toMatchObject({ state: 'CANCELLED' });
    expect(await rows('select 1 from agent_instances where run_id = $1', [run.id])).toEqual([]);
    expect(await taskRow(task)).toMatchObject({ state: 'TODO' });
  });
});
