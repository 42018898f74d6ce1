import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { SYSTEM, type Actor } from '../../src/common/auth/actor.js';
import { OutboxHandlers } from '../../src/common/bus/outbox-handlers.js';
import { OutboxRelay } from '../../src/common/bus/outbox-relay.js';
import { loadConfig } from '../../src/common/config/config.js';
import { Workers } from '../../src/common/ops/workers.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { GetQueueQuery } from '../../src/modules/orchestrator/app/queue.queries.js';
import { RunClaims } from '../../src/modules/orchestrator/app/run-claims.js';
import { RunDriver } from '../../src/modules/orchestrator/app/run-driver.js';
import { GetRunStatusQuery } from '../../src/modules/orchestrator/app/run-status.query.js';
import { RunWaits } from '../../src/modules/orchestrator/app/run-waits.js';
import { ThisHost } from '../../src/modules/orchestrator/app/this-host.js';
import { ListRunsQuery } from '../../src/modules/orchestrator/app/run.queries.js';
import {
  PauseRunCommand,
  StartRunCommand,
  StopRunCommand,
} from '../../src/modules/orchestrator/contracts/run.commands.js';
import { ApplyRunToTaskCommand, ReopenTaskCommand } from '../../src/modules/task/contracts/task.commands.js';
import { TaskCreatedEvent, TaskDeletedEvent, TaskUpdatedEvent } from '../../src/modules/task/contracts/task.events.js';
import { createDatabase, query } from '../support/database.js';
import { until } from '../support/until.js';

/** The whole application without its background loops: events are delivered, and queued runs claimed, when a test says so. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let commands: CommandBus;
let queries: QueryBus;
let claims: RunClaims;
let waits: RunWaits;
let board_id: string;
let outsider: Actor;
const owner: Actor = { user_id: randomUUID(), role: 'member' };
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));

beforeAll(async () => {
  database = await createDatabase();
  const settings = { KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '6', KANDEV_MAX_CONCURRENT_RUNS: '2' };
  app = await createApp(loadConfig(settings), database.url);
  await app.init();
  [commands, queries, claims, waits] = [app.get(CommandBus), app.get(QueryBus), app.get(RunClaims), app.get(RunWaits)];
  await app.get(ThisHost).heartbeat(); // a host that lives, or nothing would be claimed
  outsider = { user_id: randomUUID(), role: 'member' };
  for (const { user_id } of [owner, outsider]) {
    const account = [user_id, `${user_id}@example.com`, String(user_id).slice(0, 30)];
    await query(
      database.url,
      `insert into users (id, email, username, password_hash) values ($1, $2, $3, 'x')`,
      account,
    );
  }
});

afterAll(async () => {
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  await query(database.url, 'delete from outbox_events');
  await query(database.url, 'delete from runs');
  board_id = randomUUID();
  await query(database.url, `insert into boards (id, name, owner_id) values ($1, 'b', $2)`, [board_id, owner.user_id]);
  await query(database.url, `insert into board_members (board_id, user_id, role) values ($1, $2, 'owner')`, [
    board_id,
    owner.user_id,
  ]);
});

async function newTask(columns: { title?: string; state?: string; agent_type?: string | null } = {}): Promise<string> {
  const { title = 'Task', state = 'TODO', agent_type = 'demo-agent' } = columns;
  const rows = await query<{ id: string }>(
    database.url,
    `insert into tasks (board_id, title, description, state, agent_type, created_by)
     values ($1, $2, 'd', $3, $4, $5) returning id`,
    [board_id, title, state, agent_type, owner.user_id],
  );
  return rows[0]?.id ?? '';
}

const dependsOn = (task: string, other: string) =>
  query(database.url, 'insert into task_dependencies (task_id, depends_on_id) values ($1, $2)', [task, other]);
const setState = (task: string, state: string) =>
  query(database.url, 'update tasks set state = $2 where id = $1', [task, state]);
/** As a run of its own would. */
const complete = (task: string) =>
  commands.execute(new ApplyRunToTaskCommand(task, randomUUID(), 'completed', null, null));
const start = (task: string, force = false, once: { key: string; fingerprint: string } | null = null) =>
  commands.execute(new StartRunCommand(owner, task, { force }, once));
const status = (task: string) => queries.execute(new GetRunStatusQuery(owner, task));

async function runOf(task: string) {
  const rows = await query<{
    state: string;
    attempt: number;
    epoch: number;
    waits_for_tasks: boolean;
    host_id: unknown;
  }>(database.url, 'select state, attempt, epoch, waits_for_tasks, host_id from runs where task_id = $1', [task]);
  return rows[0];
}

/** Lets the relay deliver until nothing is left. */
async function deliver(): Promise<void> {
  const relay = new OutboxRelay(app.get(Transactions), app.get(OutboxHandlers), new Workers());
  relay.start();
  await until('the events to be delivered', async () => {
    return (await query(database.url, 'select 1 from outbox_events')).length === 0;
  });
  await relay.stop();
}

const loseEvents = () => query(database.url, 'delete from outbox_events');

describe('a run whose task depends on another', () => {
  let first: string;
  let second: string;

  beforeEach(async () => {
    [first, second] = [await newTask({ title: 'First' }), await newTask({ title: 'Second' })];
    await dependsOn(second, first);
  });

  it('is queued, says what it waits for, and is not claimed, by force neither', async () => {
    expect(await start(second, true)).toMatchObject({ state: 'QUEUED' });
    expect(await claims.claimNext()).toBeUndefined();
    expect((await status(second)).waiting_for).toMatchObject({
      reason: 'dependencies',
      tasks: [{ task_id: first, title: 'First', state: 'TODO' }],
      position: null,
    });
    const { items, total } = await queries.execute(new GetQueueQuery(owner, 50, 0));
    expect({ total, items }).toMatchObject({
      total: 1,
      items: [{ task_id: second, waits_for_tasks: true, position: null, estimated_start: null }],
    });
  });

  it('is claimed when that is completed', async () => {
    await start(second);
    await complete(first);
    await deliver();
    expect((await status(second)).waiting_for).toMatchObject({ reason: 'queue', tasks: [], position: 1 });
    expect(await claims.claimNext()).toMatchObject({ task_id: second, attempt: 1, requested_by: owner.user_id });
    expect((await status(second)).waiting_for?.reason).toBe('preparation');
  });

  it('goes on waiting when that fails', async () => {
    await start(second);
    await commands.execute(new ApplyRunToTaskCommand(first, randomUUID(), 'failed', null, null));
    await deliver();
    expect(await claims.claimNext()).toBeUndefined();
    expect((await status(second)).waiting_for?.tasks).toMatchObject([{ task_id: first, state: 'FAILED' }]);
  });

  it('waits again when that is reopened', async () => {
    await setState(first, 'COMPLETED');
    await start(second);
    expect(await runOf(second)).toMatchObject({ waits_for_tasks: false });
    await commands.execute(new ReopenTaskCommand(owner, first, 'not good enough'));
    await deliver();
    expect(await claims.claimNext()).toBeUndefined();
  });

  it('follows changes of its dependencies', async () => {
    await start(second);
    const changed = async () => {
      const data = { board_id, actor_id: owner.user_id, fields: ['depends_on'] };
      await app.get(Transactions).run((tx) => Promise.resolve(tx.emit(new TaskUpdatedEvent(second, 2, data))));
      await deliver();
      return (await runOf(second))?.waits_for_tasks;
    };
    await query(database.url, 'delete from task_dependencies where task_id = $1', [second]);
    expect(await changed()).toBe(false);
    await dependsOn(second, first);
    expect(await changed()).toBe(true);
  });

  it('is free when that is deleted', async () => {
    await start(second);
    await query(database.url, 'delete from tasks where id = $1', [first]);
    const data = { board_id, actor_id: owner.user_id };
    await app.get(Transactions).run((tx) => Promise.resolve(tx.emit(new TaskDeletedEvent(first, 2, data))));
    await deliver();
    expect(await claims.claimNext()).toMatchObject({ task_id: second });
  });

  it('is put right by the reconcile loop when the event was lost, either way', async () => {
    await start(second);
    await complete(first);
    await loseEvents();
    await waits.reviewSome();
    expect(await runOf(second)).toMatchObject({ waits_for_tasks: false });
    await setState(first, 'TODO');
    await waits.reviewSome();
    expect(await runOf(second)).toMatchObject({ waits_for_tasks: true });
  });

  it('does not wait for ever when that was completed just while it was queued', async () => {
    await start(second);
    await setState(first, 'COMPLETED'); // its own event came before the run was there
    await deliver();
    expect(await runOf(second)).toMatchObject({ waits_for_tasks: false });
  });

  it('ends as it should, whoever looks at the same time', async () => {
    await start(second);
    for (const state of ['COMPLETED', 'TODO', 'COMPLETED', 'FAILED', 'COMPLETED', 'TODO']) {
      const others = Array.from({ length: 4 }, () => waits.reviewTasks([second]));
      await setState(first, state);
      await Promise.all([...others, waits.reviewTasks([second]), waits.reviewSome()]);
      expect(await runOf(second)).toMatchObject({ waits_for_tasks: state !== 'COMPLETED' });
    }
  });
});

describe('a claimed run', () => {
  it('whose task has to wait after all goes back, before anything is launched, and keeps its place and its attempt', async () => {
    const [first, second] = [await newTask(), await newTask()];
    await start(second);
    const claimed = await claims.claimNext();
    await dependsOn(second, first); // between the look and the launch
    if (!claimed) throw new Error('nothing was claimed');
    await app.get(RunDriver).drive(claimed);
    expect(await runOf(second)).toEqual({
      ...{ state: 'QUEUED', attempt: 0, epoch: 1, waits_for_tasks: true, host_id: null },
    });
    expect(await status(second)).toMatchObject({ state: 'TODO', agent_instance_id: null });
    expect(await query(database.url, 'select 1 from agent_instances')).toEqual([]);
    await app.get(RunDriver).drive(claimed); // a heartbeat that read the row before
    expect(await query(database.url, 'select 1 from agent_instances')).toEqual([]);
    await setState(first, 'COMPLETED');
    await deliver();
    expect(await claims.claimNext()).toMatchObject({ task_id: second, attempt: 1, epoch: 2 });
  });

  it('that is stopped before its launch ends without one, when its task has to wait', async () => {
    const [first, second] = [await newTask(), await newTask()];
    await start(second);
    const claimed = await claims.claimNext();
    await dependsOn(second, first);
    await commands.execute(new StopRunCommand(owner, second, 'enough', false));
    if (!claimed) throw new Error('nothing was claimed');
    await app.get(RunDriver).drive(claimed);
    expect(await runOf(second)).toMatchObject({ state: 'CANCELLED', attempt: 1 });
    await deliver();
    expect(await status(second)).toMatchObject({ state: 'CANCELLED' });
  });
});

describe('the queue', () => {
  it('is looked through in turn by the reconcile loop, a part each time', async () => {
    const first = await newTask({ state: 'COMPLETED' });
    await query(
      database.url,
      `with made as (
         insert into tasks (board_id, title, description, created_by)
         select $1, 't', 'd', $2 from generate_series(1, 700) returning id
       ), waiting as (
         insert into task_dependencies (task_id, depends_on_id) select id, $3 from made
       )
       insert into runs (id, task_id, board_id, agent_type, waits_for_tasks)
       select gen_random_uuid(), id, $1, 'demo-agent', true from made`,
      [board_id, owner.user_id, first],
    );
    const waiting = async () => (await query(database.url, 'select 1 from runs where waits_for_tasks')).length;
    await waits.reviewSome();
    expect(await waiting()).toBe(200);
    await waits.reviewSome();
    expect(await waiting()).toBe(0);
    await setState(first, 'FAILED');
    await waits.reviewTasks(
      (await query<{ task_id: string }>(database.url, 'select task_id from runs')).map((run) => run.task_id),
    );
    expect(await waiting()).toBe(700);
  });

  it('shows everybody what they may see, with the place among all', async () => {
    const [low, high] = [await newTask(), await newTask()];
    await commands.execute(new StartRunCommand(owner, low, { priority: 1 }));
    await commands.execute(new StartRunCommand(owner, high, { priority: 9 }));
    const queue = (actor: Actor, limit = 50, offset = 0) => queries.execute(new GetQueueQuery(actor, limit, offset));
    for (const actor of [owner, SYSTEM]) {
      const { items, total } = await queue(actor);
      expect(total).toBe(2);
      expect(items.map(({ task_id, position }) => [task_id, position])).toEqual([
        [high, 1],
        [low, 2],
      ]);
    }
    expect(await queue(owner, 1, 1)).toMatchObject({ total: 2, items: [{ task_id: low, position: 2 }] });
    expect(await queue(owner, 1, 2)).toEqual({ total: 2, items: [] });
    expect(await queue(outsider)).toEqual({ total: 0, items: [] });
  });

  it('is said to lack capacity when this host has no slot left', async () => {
    const tasks = [await newTask(), await newTask(), await newTask(), await newTask()];
    for (const task of tasks) await start(task);
    await claims.claimNext();
    await claims.claimNext();
    const [, , third = '', fourth = ''] = tasks;
    const full = { reason: 'host', host: { problem: 'full' }, tasks: [] };
    expect((await status(third)).waiting_for).toMatchObject({ ...full, position: 1 });
    expect((await status(fourth)).waiting_for).toMatchObject({ ...full, position: 2 });
  });
});

describe('starting', () => {
  const once = (fingerprint = 'a'.repeat(64)) => ({ key: randomUUID(), fingerprint });
  const runs = (task: string) => query(database.url, 'select 1 from runs where task_id = $1', [task]);

  it.each([false, true])('with one key, 20 times at once (force: %s), makes one run', async (force) => {
    const task = await newTask({ state: force ? 'FAILED' : 'TODO' });
    const key = once();
    const receipts = await Promise.all(Array.from({ length: 20 }, () => start(task, force, key)));
    expect(new Set(receipts.map(({ run_id }) => run_id)).size).toBe(1);
    expect(await runs(task)).toHaveLength(1);
    expect(await claims.claimNext()).toMatchObject({ task_id: task });
    expect(await start(task, force, key)).toEqual(receipts[0]);
    await query(database.url, `update runs set state = 'COMPLETED'`);
    await setState(task, 'COMPLETED');
    expect(await start(task, force, key)).toEqual(receipts[0]);
    expect(await status(task)).toMatchObject({ state: 'COMPLETED' });
    const other = { ...key, fingerprint: 'b'.repeat(64) };
    await expect(start(task, force, other)).rejects.toMatchObject({ code: 'idempotency.key_reused' });
  });

  it('that was refused can be tried again with the same key', async () => {
    const task = await newTask({ state: 'FAILED' });
    const key = once();
    await expect(start(task, false, key)).rejects.toMatchObject({ code: 'run.task_not_startable' });
    await setState(task, 'TODO');
    await expect(start(task, false, key)).resolves.toMatchObject({ state: 'QUEUED' });
  });

  it('of an archived task is refused, with force as well', async () => {
    const task = await newTask();
    await query(database.url, 'update tasks set archived_at = now() where id = $1', [task]);
    for (const force of [false, true])
      await expect(start(task, force)).rejects.toMatchObject({ kind: 'conflict', code: 'task.archived' });
  });

  it('by somebody whose account is gone is refused', async () => {
    const task = await newTask();
    const ghost: Actor = { user_id: randomUUID(), role: 'admin' };
    for (const key of [null, once()]) {
      const asked = commands.execute(new StartRunCommand(ghost, task, {}, key));
      await expect(asked).rejects.toMatchObject({ code: 'auth.user_gone' });
    }
  });
});

describe('a task made with auto_start', () => {
  const tell = (task: string, auto_start: boolean) =>
    app.get(Transactions).run((tx) => {
      tx.emit(new TaskCreatedEvent(task, 1, { board_id, actor_id: owner.user_id, auto_start }));
      return Promise.resolve();
    });

  it('gets one run for its maker, however often that is told', async () => {
    const task = await newTask();
    await tell(task, true);
    await tell(task, true);
    await deliver();
    expect(await claims.claimNext()).toMatchObject({ task_id: task, requested_by: owner.user_id });
    await query(database.url, `update runs set state = 'FAILED'`);
    await tell(task, true);
    await deliver();
    expect(await claims.claimNext()).toBeUndefined();
  });

  it('waits like any other', async () => {
    const [first, second] = [await newTask(), await newTask()];
    await dependsOn(second, first);
    await tell(second, true);
    await deliver();
    expect(await runOf(second)).toMatchObject({ state: 'QUEUED', waits_for_tasks: true });
  });

  it.each([
    ['has no agent type', () => newTask({ agent_type: null })],
    ['is gone', () => Promise.resolve(randomUUID())],
  ])('is left alone when it %s', async (_, make) => {
    await tell(await make(), true);
    await deliver();
    expect(await query(database.url, 'select 1 from runs')).toEqual([]);
  });

  it('is not started when nobody asked for it', async () => {
    await tell(await newTask(), false);
    await deliver();
    expect(await query(database.url, 'select 1 from runs')).toEqual([]);
  });
});

describe('the runs of a task', () => {
  it('are listed newest first, page by page', async () => {
    const task = await newTask();
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) {
      ids.unshift((await start(task, true)).run_id);
      await commands.execute(new StopRunCommand(owner, task, `stop ${n}`, false));
    }
    const list = (limit: number, cursor: string | null = null) =>
      queries.execute(new ListRunsQuery(owner, task, { limit, offset: 0, cursor }));
    const page = await list(2);
    expect(page).toMatchObject({ total: 3, items: [{ stop_reason: 'stop 2', requested_by: owner.user_id }, {}] });
    const rest = await list(2, page.next_cursor);
    expect([...page.items, ...rest.items].map(({ id }) => id)).toEqual(ids);
    expect(rest.next_cursor).toBeNull();
    const foreign = queries.execute(new ListRunsQuery(outsider, task, { limit: 1, offset: 0, cursor: null }));
    await expect(foreign).rejects.toMatchObject({ code: 'task.not_found' });
  });

  it('can not be paused before its agent works', async () => {
    const task = await newTask();
    const pause = (actor: Actor) => commands.execute(new PauseRunCommand(actor, task));
    await expect(pause(outsider)).rejects.toMatchObject({ code: 'task.not_found' });
    await expect(pause(owner)).rejects.toMatchObject({ code: 'run.none_live' });
    await start(task);
    await expect(pause(owner)).rejects.toMatchObject({ kind: 'conflict', code: 'run.illegal_transition' });
  });
});
