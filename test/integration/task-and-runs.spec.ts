import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { SYSTEM, type Actor } from '../../src/common/auth/actor.js';
import { loadConfig } from '../../src/common/config/config.js';
import { RegisterUserCommand } from '../../src/modules/identity/app/register-user.js';
import { ArchiveTaskCommand } from '../../src/modules/task/app/archive-task.js';
import { BulkTasksCommand } from '../../src/modules/task/app/bulk-tasks.js';
import { CreateBoardCommand } from '../../src/modules/task/app/board.crud.js';
import { MoveTaskCommand } from '../../src/modules/task/app/move-task.js';
import { DeleteTaskCommand } from '../../src/modules/task/app/delete-task.js';
import { CreateTaskCommand, UpdateTaskCommand } from '../../src/modules/task/app/task.crud.js';
import {
  ApplyRunToTaskCommand,
  ReopenTaskCommand,
  type RunOutcome,
} from '../../src/modules/task/contracts/task.commands.js';
import {
  AuthorizeBoardQuery,
  FindVisibleTasksQuery,
  GetTaskQuery,
  ListVisibleBoardsQuery,
} from '../../src/modules/task/contracts/task.queries.js';
import { createDatabase, query } from '../support/database.js';
import { until } from '../support/until.js';

/** The whole application without its background loops: what is written to the outbox stays there. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let commands: CommandBus;
let queries: QueryBus;
let owner: Actor;
let stranger: Actor;
let board_id: string;
let task_id: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));

beforeAll(async () => {
  database = await createDatabase();
  app = await createApp(loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '5' }), database.url);
  await app.init();
  [commands, queries] = [app.get(CommandBus), app.get(QueryBus)];
  const signUp = async (name: string): Promise<Actor> => {
    const { user } = await commands.execute(
      new RegisterUserCommand(`${name}@example.com`, name, 'long enough a password'),
    );
    return { user_id: user.id, role: user.role };
  };
  await signUp('admin');
  owner = await signUp('owner');
  stranger = await signUp('stranger');
  board_id = (await commands.execute(new CreateBoardCommand(owner, { name: 'Board', description: null }))).id;
});

afterAll(async () => {
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  task_id = await newTask();
});

async function newTask(): Promise<string> {
  const timeouts = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null, retry_policy: null };
  const nothing = { agent_type: 'demo-agent', repository_url: null, branch: null, metadata: {}, ...timeouts };
  const input = { title: 'Task', description: 'Do it', priority: 0, ...nothing };
  return (await commands.execute(new CreateTaskCommand(owner, board_id, input))).id;
}

const tell = (run_id: string, outcome: RunOutcome, agent_id: string | null = null) =>
  commands.execute(new ApplyRunToTaskCommand(task_id, run_id, outcome, `it was ${outcome}`, agent_id));
const move = (state: 'TODO' | 'IN_PROGRESS' | 'BLOCKED' | 'CANCELLED') =>
  commands.execute(new MoveTaskCommand(owner, task_id, state, { reason: null, force: false }, null));

async function task() {
  const rows = await query<{ state: string; version: number; settled_run_id: string; assigned_agent_id: string }>(
    database.url,
    'select state, version, settled_run_id, assigned_agent_id from tasks where id = $1',
    [task_id],
  );
  return rows[0];
}

const history = () =>
  query<{ event_type: string; new_state: string; metadata: object; created_by: string | null }>(
    database.url,
    'select event_type, new_state, metadata, created_by from task_events where task_id = $1 order by id',
    [task_id],
  );

const outbox = (id = task_id) =>
  query<{ topic: string; aggregate_seq: number; data: object }>(
    database.url,
    'select topic, aggregate_seq, data from outbox_events where aggregate_id = $1 order by id',
    [id],
  );

describe('a task and its runs', () => {
  it('follows a run to its end, each step once, with history and outbox in step', async () => {
    const [run_id, agent_id] = [randomUUID(), randomUUID()];
    for (const _ of [1, 2]) expect(await tell(run_id, 'dispatched', agent_id)).toEqual({ state: 'IN_PROGRESS' });
    for (const _ of [1, 2]) expect(await tell(run_id, 'completed', agent_id)).toEqual({ state: 'COMPLETED' });
    for (const late of ['failed', 'cancelled', 'dispatched'] as const)
      expect(await tell(run_id, late)).toEqual({ state: 'COMPLETED' });
    expect(await task()).toMatchObject({ version: 3, settled_run_id: run_id, assigned_agent_id: agent_id });
    expect((await history()).slice(1)).toEqual([
      {
        ...{ event_type: 'task.state_changed', new_state: 'IN_PROGRESS', created_by: null },
        metadata: { reason: 'it was dispatched', run_id, changes: { assigned_agent_id: { from: null, to: agent_id } } },
      },
      {
        ...{ event_type: 'task.state_changed', new_state: 'COMPLETED', created_by: null },
        metadata: { reason: 'it was completed', run_id },
      },
    ]);
    const data = { board_id, actor_id: null, agent_type: 'demo-agent', run_id };
    expect(await outbox()).toEqual([
      { topic: 'task.created', aggregate_seq: 1, data: { board_id, actor_id: owner.user_id, auto_start: false } },
      { topic: 'task.state_changed', aggregate_seq: 2, data: { ...data, old_state: 'TODO', new_state: 'IN_PROGRESS' } },
      {
        topic: 'task.state_changed',
        aggregate_seq: 3,
        data: { ...data, old_state: 'IN_PROGRESS', new_state: 'COMPLETED' },
      },
    ]);
  });

  it('takes a new attempt as a change of its instance', async () => {
    const run_id = randomUUID();
    const [first, second] = [randomUUID(), randomUUID()];
    await tell(run_id, 'dispatched', first);
    await tell(run_id, 'dispatched', second);
    expect(await task()).toMatchObject({ state: 'IN_PROGRESS', version: 3, assigned_agent_id: second });
    expect((await outbox()).at(-1)).toMatchObject({ topic: 'task.updated', data: { fields: ['assigned_agent_id'] } });
  });

  it('stays as a person has left it, and remembers the run all the same', async () => {
    const run_id = randomUUID();
    await tell(run_id, 'dispatched');
    await move('CANCELLED');
    expect(await tell(run_id, 'dispatched')).toEqual({ state: 'CANCELLED' });
    expect(await task()).toMatchObject({ version: 3, settled_run_id: null });
    for (const _ of [1, 2]) expect(await tell(run_id, 'completed')).toEqual({ state: 'CANCELLED' });
    expect(await task()).toMatchObject({ state: 'CANCELLED', version: 3, settled_run_id: run_id });
    expect([await history(), await outbox()].map(({ length }) => length)).toEqual([3, 3]);
    // … so that the end of that run, told once more, does not hit the reopened task.
    await move('TODO');
    expect(await tell(run_id, 'failed')).toEqual({ state: 'TODO' });
  });

  it('goes on from BLOCKED when its run is dispatched, and ends from there', async () => {
    await move('IN_PROGRESS');
    await move('BLOCKED');
    expect(await tell(randomUUID(), 'dispatched')).toEqual({ state: 'IN_PROGRESS' });
    await move('BLOCKED');
    expect(await tell(randomUUID(), 'failed')).toEqual({ state: 'FAILED' });
  });

  it('hears many tellings at once as one', async () => {
    const run_id = randomUUID();
    await Promise.all(Array.from({ length: 8 }, () => tell(run_id, 'dispatched', null)));
    await Promise.all(Array.from({ length: 8 }, () => tell(run_id, 'failed', null)));
    expect(await task()).toMatchObject({ state: 'FAILED', version: 3 });
    expect(await history()).toHaveLength(3);
  });

  it('is reopened when it is finished, for whoever may write', async () => {
    const reopen = (actor: Actor) => commands.execute(new ReopenTaskCommand(actor, task_id, 'once more'));
    expect(await reopen(owner)).toEqual({ state: 'TODO' });
    await tell(randomUUID(), 'cancelled');
    await expect(reopen(stranger)).rejects.toMatchObject({ code: 'task.not_found' });
    expect(await reopen(SYSTEM)).toEqual({ state: 'TODO' });
    expect(await history()).toHaveLength(3);
  });

  it('is ignored when it is gone', async () => {
    await commands.execute(new DeleteTaskCommand(owner, task_id, null));
    expect(await tell(randomUUID(), 'completed')).toEqual({ state: null });
    expect((await outbox()).at(-1)).toEqual({
      ...{ topic: 'task.deleted', aggregate_seq: 2 },
      data: { board_id, actor_id: owner.user_id },
    });
  });

  it('leaves nothing behind when a change fails', async () => {
    const change = new UpdateTaskCommand(owner, task_id, { title: 'x', description: null as unknown as string }, null);
    await expect(commands.execute(change)).rejects.toThrow();
    expect(await task()).toMatchObject({ version: 1 });
    expect([await history(), await outbox()].map(({ length }) => length)).toEqual([1, 1]);
  });
});

describe('deleting a task while a run is being started', () => {
  const ADD_RUN = `insert into runs (id, task_id, board_id, agent_type) values (gen_random_uuid(), $1, $2, 'demo-agent')`;
  let other: pg.Client;

  beforeEach(async () => {
    other = new pg.Client(database.url);
    await other.connect();
    await other.query('begin');
    return () => other.end();
  });

  /** Somebody of this database waits for a lock of somebody else. */
  const someoneWaits = () =>
    until('a wait for a lock', async () => {
      const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      return (await query(database.url, waiting)).length > 0;
    });

  it('waits for the run, and is refused', async () => {
    await other.query(ADD_RUN, [task_id, board_id]);
    const deletion = commands.execute(new DeleteTaskCommand(owner, task_id, null)).catch((error: unknown) => error);
    await someoneWaits();
    await other.query('commit');
    expect(await deletion).toMatchObject({ code: 'task.run_live' });
    expect(await task()).toMatchObject({ state: 'TODO' });
  });

  it('lets no run start behind its back', async () => {
    await other.query('select 1 from tasks where id = $1 for update', [task_id]); // as the deletion does
    const start = query(database.url, ADD_RUN, [task_id, board_id]).catch((error: unknown) => error);
    await someoneWaits();
    await other.query('delete from tasks where id = $1', [task_id]);
    await other.query('commit');
    expect(await start).toMatchObject({ code: '23503', constraint: 'runs_task_id_fkey' });
  });

  it('does not use up the connections, however many tasks are deleted', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, newTask));
    await Promise.all(ids.map((id) => commands.execute(new DeleteTaskCommand(owner, id, null))));
    expect(await query(database.url, 'select 1 from tasks where id = any($1)', [ids])).toEqual([]);
  });

  it('does not use them up either when many start, change and delete the same ones', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, newTask));
    const bulk = { action: 'delete', task_ids: ids, state: null, reason: null, force: true } as const;
    const work = ids.flatMap((id) => [
      commands.execute(new MoveTaskCommand(owner, id, 'IN_PROGRESS', { reason: null, force: false }, null)),
      commands.execute(new UpdateTaskCommand(owner, id, { depends_on: [] }, null)),
      commands.execute(new ArchiveTaskCommand(owner, id, true, null)),
      commands.execute(new BulkTasksCommand(owner, board_id, bulk)),
      commands.execute(new DeleteTaskCommand(owner, id, null, true)),
    ]);
    const allowed = ['task.not_found', 'task.archived', 'task.illegal_transition'];
    for (const result of await Promise.allSettled<unknown>(work)) {
      if (result.status === 'rejected') expect(allowed).toContain((result.reason as { code?: string }).code);
    }
    expect(await query(database.url, 'select 1 from tasks where id = any($1)', [ids])).toEqual([]);
  });
});

describe('what other modules ask', () => {
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'yes',
      (error: { code?: string }) => error.code,
    );

  it('a task, for those who may', async () => {
    expect(await queries.execute(new GetTaskQuery(owner, task_id, 'manage'))).toEqual({
      ...{ id: task_id, board_id, title: 'Task', description: 'Do it', state: 'TODO', priority: 0 },
      ...{ agent_type: 'demo-agent', repository_url: null, branch: null, archived_at: null },
      ...{ inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null, retry_policy: null },
    });
    expect(await codeOf(queries.execute(new GetTaskQuery(stranger, task_id)))).toBe('task.not_found');
    expect(await codeOf(queries.execute(new GetTaskQuery(SYSTEM, task_id, 'manage')))).toBe('yes');
    expect(await codeOf(queries.execute(new GetTaskQuery(SYSTEM, randomUUID())))).toBe('task.not_found');
  });

  it('boards and tasks that somebody sees', async () => {
    const viewer = stranger;
    expect(await queries.execute(new ListVisibleBoardsQuery(viewer))).toEqual([]);
    expect(await codeOf(queries.execute(new AuthorizeBoardQuery(viewer, board_id, 'read')))).toBe('board.not_found');
    expect(await queries.execute(new FindVisibleTasksQuery(viewer, {}))).toEqual([]);
    const row = [board_id, viewer.user_id];
    await query(database.url, `insert into board_members (board_id, user_id, role) values ($1, $2, 'viewer')`, row);
    expect(await queries.execute(new ListVisibleBoardsQuery(viewer))).toEqual([board_id]);
    expect(await queries.execute(new ListVisibleBoardsQuery(SYSTEM))).toBe('all');
    expect(await codeOf(queries.execute(new AuthorizeBoardQuery(viewer, board_id, 'read')))).toBe('yes');
    expect(await codeOf(queries.execute(new AuthorizeBoardQuery(viewer, board_id, 'write')))).toBe('board.forbidden');
    expect(await codeOf(queries.execute(new GetTaskQuery(viewer, task_id, 'write')))).toBe('board.forbidden');
    const find = (filter: { task_ids?: string[]; board_ids?: string[] }) =>
      queries.execute(new FindVisibleTasksQuery(viewer, filter));
    expect(await find({ task_ids: [task_id, randomUUID(), 'no uuid'] })).toEqual([{ task_id, board_id }]);
    expect(await find({ task_ids: [], board_ids: ['no uuid'] })).toEqual([]);
    const onBoard = await find({ board_ids: [board_id] });
    expect(onBoard).toContainEqual({ task_id, board_id });
    expect(await find({})).toHaveLength(onBoard.length);
    await query(database.url, 'delete from board_members where board_id = $1 and user_id = $2', row);
  });
});
