import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import type { Actor } from '../../src/common/auth/actor.js';
import { loadConfig } from '../../src/common/config/config.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { DrainHostCommand } from '../../src/modules/orchestrator/app/drain-host.js';
import { GetOrchestratorStatusQuery } from '../../src/modules/orchestrator/app/orchestrator-status.query.js';
import { GetQueueQuery } from '../../src/modules/orchestrator/app/queue.queries.js';
import { GetRunStatusQuery } from '../../src/modules/orchestrator/app/run-status.query.js';
import { createDatabase } from '../support/database.js';
import { QueueRows } from '../support/queue-rows.js';

/** The application without its background loops; all rows are made by hand. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let rows: QueueRows;
let owner: string;
let board: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));
const UNTIL = '2099-01-01T00:00:00.000Z';
const FULL_DISK = 'The disk is nearly full, and no run is dispatched: 1 bytes are free.';

beforeAll(async () => {
  database = await createDatabase();
  app = await createApp(loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '6' }), database.url);
  await app.init();
  rows = await QueueRows.open(database.url);
  owner = await rows.user();
});

afterAll(async () => {
  await rows.close();
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  await rows.clear();
  await rows.needs('demo-agent');
  board = await rows.board(owner, 'Website');
});

async function queued(columns: Record<string, unknown> = {}, task: Record<string, unknown> = {}): Promise<string> {
  const task_id = await rows.task(board, owner, task);
  await rows.run({ task_id, board_id: board, requested_by: owner }, columns);
  return task_id;
}

/** A run that holds a place. */
async function running(host_id: string, columns: Record<string, unknown> = {}): Promise<string> {
  return queued({ state: 'RUNNING', attempt: 1, host_id, started_at: new Date(), ...columns });
}

const actor = (): Actor => ({ user_id: owner, role: 'member' });
const reason = async (task: string) =>
  (await app.get(QueryBus).execute(new GetRunStatusQuery(actor(), task))).waiting_for;
const queue = () => app.get(QueryBus).execute(new GetQueueQuery(actor(), 50, 0));

/** What its status says, which is what the queue says too. */
async function told(task: string) {
  const waiting = await reason(task);
  const { items } = await queue();
  expect(items.find(({ task_id }) => task_id === task)?.waiting_for).toEqual(waiting);
  return waiting;
}

describe('a queued run says that it waits', () => {
  it('for tasks to be completed', async () => {
    await rows.host();
    const first = await rows.task(board, owner, { title: 'First' });
    const second = await queued({ waits_for_tasks: true });
    await rows.query('insert into task_dependencies (task_id, depends_on_id) values ($1, $2)', [second, first]);
    const tasks = [{ task_id: first, title: 'First', state: 'TODO' }];
    expect(await told(second)).toMatchObject({ reason: 'dependencies', tasks, position: null });
  });

  it("for room in its board's column", async () => {
    await rows.host();
    await rows.query(`insert into board_wip_limits (board_id, state, max_tasks) values ($1, 'IN_PROGRESS', 0)`, [
      board,
    ]);
    const column = { state: 'IN_PROGRESS', max_tasks: 0, tasks: 0 };
    expect(await told(await queued({ waits_for_tasks: true }))).toMatchObject({ reason: 'wip_limit', column });
  });

  it.each(['back_off', 'retry_after', 'budget'])('for a time: %s', async (parked_for) => {
    await rows.host();
    const task = await queued({ not_before: UNTIL, parked_for });
    expect(await told(task)).toMatchObject({ reason: parked_for, until: UNTIL, position: null });
    expect((await told(task))?.message).toContain(UNTIL);
  });

  it('for a budget, and says which, how much of it is used and who can raise it', async () => {
    await rows.host();
    const task = await queued({ not_before: UNTIL, parked_for: 'budget' });
    await rows.query(`insert into budgets (scope, subject, period, tokens) values ('task', $1, 'day', 0)`, [task]);
    const { message } = (await told(task))!;
    expect(message).toContain('budget of the task for one day is used up: 0 of 0 tokens. An editor of the board can');
    expect(message).toContain(`at ${UNTIL}`);
  });

  it('for its turn, which is read with few others at once', async () => {
    const fenced = vi.spyOn(app.get(Transactions, { strict: false }), 'fenced');
    await reason(await queued());
    expect(fenced).toHaveBeenCalledOnce();
    fenced.mockRestore();
  });

  it.each(['server', 'agent_type', 'board', 'user', 'host'])('for a place under the limit of a %s', async (scope) => {
    const host = await rows.host({ name: 'runner-1' });
    const user = (await rows.query<{ username: string }>('select username from users where id = $1', [owner]))[0];
    const subject = { server: '*', agent_type: 'demo-agent', board, user: owner, host }[scope]!;
    const name = {
      ...{ server: null, agent_type: 'demo-agent', board: 'Website', user: user?.username, host: 'runner-1' },
    }[scope];
    await running(host);
    const task = await queued();
    expect((await told(task))?.reason).toBe('queue');
    await rows.limit(scope, '*', { max_running: 1 });
    const limit = { scope, subject, name, max_running: 1, running: 1 };
    expect(await told(task)).toMatchObject({ reason: 'limit', limit, position: 1 });
    if (subject === '*') return;
    await rows.limit(scope, subject, { max_running: null }); // one of its own without a number: it has none
    expect((await told(task))?.reason).toBe('queue');
  });

  it('for a host to be up, to have the labels, and to take runs', async () => {
    await rows.needs('labelled', { host_labels: ['gpu', 'zone=eu'] });
    const task = await queued({ agent_type: 'labelled' });
    await rows.host({ labels: ['gpu', 'zone=eu'], heartbeat_at: new Date(Date.now() - 3_600_000) });
    expect(await told(task)).toMatchObject({ reason: 'host', host: { problem: 'none_up' }, position: 1 });
    await rows.host({ labels: ['gpu'] });
    expect(await told(task)).toMatchObject({ reason: 'host', host: { problem: 'labels', labels: ['zone=eu'] } });
    await rows.host({ labels: ['gpu', 'zone=eu'], draining: true });
    expect(await told(task)).toMatchObject({ reason: 'host', host: { problem: 'draining' } });
    await rows.host({ labels: ['gpu', 'zone=eu'] });
    expect(await told(task)).toMatchObject({ reason: 'queue', message: 'It is next.' });
  });

  it('for a place on a host, and for memory and cores, and says how much is missing', async () => {
    const host = await rows.host({ slots: 1, memory_bytes: 1000 * 2 ** 20, cpus: 4 });
    const held = { reserved_memory_bytes: 600 * 2 ** 20, reserved_cpus: 3.5 };
    await running(host, held);
    await rows.needs('large', { memory_bytes: 500 * 2 ** 20, cpus: 1 });
    const task = await queued({ agent_type: 'large' });
    expect(await told(task)).toMatchObject({ reason: 'host', host: { problem: 'full' } });
    await rows.query('update agent_hosts set slots = 9');
    const missing = { missing_memory_bytes: 100 * 2 ** 20, missing_cpus: 0.5 };
    const waiting = await told(task);
    expect(waiting).toMatchObject({ reason: 'host', host: { problem: 'resources', ...missing } });
    expect(waiting?.message).toContain('lacks 100 MiB of memory and 0.5 cores');
  });

  it('for a larger run, for which a host saves up', async () => {
    const host = await rows.host({ memory_bytes: 1000 });
    await running(host, { reserved_memory_bytes: 600 });
    await rows.needs('large', { memory_bytes: 500 });
    await rows.needs('small', { memory_bytes: 100 });
    const small = await queued({ agent_type: 'small' });
    expect(await told(small)).toMatchObject({ reason: 'queue' });
    await queued({ agent_type: 'large', queued_at: new Date(Date.now() - 3_600_000) });
    expect(await told(small)).toMatchObject({ reason: 'host', host: { problem: 'saving_up' }, position: 2 });
  });

  it("for room on a host's disk", async () => {
    await rows.host({ degraded: JSON.stringify([FULL_DISK]) });
    const task = await queued();
    expect(await told(task)).toMatchObject({ reason: 'disk', position: 1 });
    await rows.host();
    expect(await told(task)).toMatchObject({ reason: 'queue' });
  });

  it('for nothing but its turn, and how many are ahead', async () => {
    await rows.host();
    await queued();
    expect(await told(await queued())).toMatchObject({
      ...{ reason: 'queue', position: 2, message: 'Nothing but its turn: 1 run is ahead of it.' },
    });
  });
});

describe('a run that is being launched says what is done', () => {
  it.each([
    ['preparation', { phase: 'preparation', message: 'preparing the workspace' }, null],
    ['clone', { phase: 'preparation', message: 'cloning https://example.com/x.git' }, null],
    ['clone', { phase: 'preparation', message: 'fetching the repository: receiving objects', progress: 45 }, 45],
    ['image_pull', { phase: 'preparation', message: 'pulling the image x', layers_total: 3, progress: 12 }, 12],
    ['launch', { phase: 'launch', message: 'starting the agent' }, null],
  ])('%s', async (expected, data, progress) => {
    const host_id = await rows.host();
    const task_id = await queued({ state: 'STARTING', attempt: 1, host_id });
    expect(await reason(task_id)).toMatchObject({ reason: 'preparation', progress: null });
    await rows.query(
      `with instance as (
         insert into agent_instances (task_id, board_id, run_id, attempt, epoch, agent_type, runtime, status, image_name)
         select task_id, board_id, id, attempt, epoch, agent_type, 'docker', 'STARTING', 'x' from runs where task_id = $1
         returning *
       )
       insert into acp_messages (segment, task_id, seq, run_id, agent_id, type, timestamp, data)
       select (select max(segment) from message_segments), task_id, 1, run_id, id, 'status', now(), $2 from instance`,
      [task_id, { ...data, source: 'server' }],
    );
    expect(await reason(task_id)).toMatchObject({ reason: expected, progress, position: null });
    await rows.query('delete from acp_messages');
  });

  it('and nothing once the agent runs', async () => {
    expect(await reason(await running(await rows.host()))).toBeNull();
  });
});

describe('the queue', () => {
  it('tells when a run will start, from what such runs took, and how sure that is', async () => {
    const host = await rows.host({ slots: 1 });
    const begin = Date.now() - 3_600_000;
    for (let index = 0; index < 10; index++) {
      const times = { started_at: new Date(begin), finished_at: new Date(begin + 600_000) };
      await queued({ state: 'COMPLETED', attempt: 1, ...times });
    }
    await running(host, { started_at: new Date(Date.now() - 200_000) });
    await queued({ priority: 5 });
    await queued();
    const { items } = await queue();
    const minutes = items.map(({ estimated_start }) => (Date.parse(estimated_start!) - Date.now()) / 60_000);
    expect(minutes[0]).toBeCloseTo(400 / 60, 0);
    expect(minutes[1]).toBeCloseTo(1000 / 60, 0);
    expect(items.map(({ estimate_confidence }) => estimate_confidence)).toEqual(['high', 'high']);
    await rows.query(`update runs set state = 'PAUSED' where state = 'RUNNING'`);
    const unknown = (await queue()).items.map((item) => [item.estimated_start, item.estimate_confidence]);
    expect(unknown).toEqual([
      [null, 'none'],
      [null, 'none'],
    ]);
  });

  it('has those that wait for a time, and then those that wait for tasks, behind the others, page by page', async () => {
    await rows.host();
    const tasks = await queued({ waits_for_tasks: true });
    const time = await queued({ not_before: UNTIL, parked_for: 'back_off' });
    const [first, second] = [await queued({ priority: 2 }), await queued()];
    const pages = [];
    for (let offset = 0; offset < 5; offset++) {
      const { items, total } = await app.get(QueryBus).execute(new GetQueueQuery(actor(), 1, offset));
      expect(total).toBe(4);
      pages.push(...items.map(({ task_id, position }) => [task_id, position]));
    }
    expect(pages).toEqual([
      [first, 1],
      [second, 2],
      [time, null],
      [tasks, null],
    ]);
  });
});

describe('what goes', () => {
  it('takes its limits along: a board, a user, an agent type', async () => {
    const [person, type] = [await rows.user(), `type-${owner.slice(0, 8)}`];
    await rows.needs(type);
    await rows.limit('board', board, { max_running: 1 });
    await rows.limit('user', person, { max_running: 1 });
    await rows.limit('agent_type', type, { max_running: 1 });
    await rows.limit('board', '*', { max_running: 5 });
    await rows.query('delete from boards where id = $1', [board]);
    await rows.query('delete from users where id = $1', [person]);
    await rows.query('delete from agent_types where name = $1', [type]);
    expect(await rows.query('select scope, subject from run_limits')).toEqual([{ scope: 'board', subject: '*' }]);
  });
});

describe('a host that is drained', () => {
  it('again, for another reason, is so in the audit log, too', async () => {
    const host = await rows.host();
    const drain = (text: string | null) =>
      app.get(CommandBus).execute(new DrainHostCommand({ user_id: owner, role: 'admin' }, host, true, text));
    for (const text of ['First', 'First', null, 'Second']) await drain(text);
    const audit = `select data ->> 'reason' as reason from audit_events where subject_id = $1 order by id`;
    expect(await rows.query(audit, [host])).toEqual([{ reason: 'First' }, { reason: 'Second' }]);
  });
});

describe('the status of the orchestrator', () => {
  it('adds up the hosts, and tells what does not work on them', async () => {
    const up = await rows.host({
      name: 'one',
      slots: 4,
      memory_bytes: 1000,
      cpus: 8,
      degraded: JSON.stringify([FULL_DISK]),
    });
    await rows.host({ name: 'two', slots: 2, memory_bytes: 500, cpus: 4, draining: true });
    await rows.host({ name: 'gone', heartbeat_at: new Date(0), degraded: JSON.stringify(['It smokes.']) });
    await rows.query('insert into queue_keepers (id) values (gen_random_uuid())', []);
    await running(up, { reserved_memory_bytes: 300, reserved_cpus: 1.5 });
    await queued();
    await queued({ waits_for_tasks: true });
    await queued({ not_before: UNTIL, parked_for: 'budget' });
    const dead = await queued({ state: 'FAILED', dead_lettered_at: new Date(), queued_at: new Date(1e12) });
    expect(await app.get(QueryBus).execute(new GetOrchestratorStatusQuery())).toMatchObject({
      ...{ status: 'running', active_agents: 1, queued_tasks: 3, hosts: { up: 1, draining: 1, down: 1 } },
      queued: { ready: 1, waits_for_tasks: 1, back_off: 0, retry_after: 0, budget: 1 },
      dead_letters: 1,
      capacity: { slots: 6, running: 1, memory_bytes: 1500, reserved_memory_bytes: 300, cpus: 12, reserved_cpus: 1.5 },
      degraded: ['gone: nothing was heard of it since 1970-01-01T00:00:00.000Z.', `one: ${FULL_DISK}`],
    });
    await rows.run({ task_id: dead, board_id: board, requested_by: owner }, { state: 'COMPLETED' });
    expect((await app.get(QueryBus).execute(new GetOrchestratorStatusQuery())).dead_letters).toBe(0);
  });

  it('is starting while no host was heard of', async () => {
    const status = await app.get(QueryBus).execute(new GetOrchestratorStatusQuery());
    expect(status).toMatchObject({ status: 'starting', last_heartbeat: null, degraded: [] });
  });
});
