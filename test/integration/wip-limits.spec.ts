import 'reflect-metadata';
import { randomUUID, type UUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import type { Actor } from '../../src/common/auth/actor.js';
import { OutboxHandlers } from '../../src/common/bus/outbox-handlers.js';
import { OutboxRelay } from '../../src/common/bus/outbox-relay.js';
import { loadConfig } from '../../src/common/config/config.js';
import { DomainError } from '../../src/common/errors/domain-error.js';
import { Workers } from '../../src/common/ops/workers.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { RunPlaces } from '../../src/modules/orchestrator/app/run-places.js';
import { RunWaits } from '../../src/modules/orchestrator/app/run-waits.js';
import { StartRunCommand, StopRunCommand } from '../../src/modules/orchestrator/contracts/run.commands.js';
import { ArchiveTaskCommand } from '../../src/modules/task/app/archive-task.js';
import { BulkTasksCommand } from '../../src/modules/task/app/bulk-tasks.js';
import { GetBoardQuery } from '../../src/modules/task/app/board.queries.js';
import { MoveTaskCommand } from '../../src/modules/task/app/move-task.js';
import { SetWipLimitsCommand, type WipLimitsPatch } from '../../src/modules/task/app/set-wip-limits.js';
import { UpdateTaskCommand } from '../../src/modules/task/app/task.crud.js';
import { ApplyRunToTaskCommand } from '../../src/modules/task/contracts/task.commands.js';
import { FindWipBlocksQuery } from '../../src/modules/task/contracts/task.queries.js';
import type { TaskState } from '../../src/modules/task/contracts/task.types.js';
import { createDatabase, query } from '../support/database.js';
import { until } from '../support/until.js';

/** The whole application without its background loops: events are delivered when a test says so, and nothing is claimed. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let commands: CommandBus;
let board_id: string;
const owner: Actor = { user_id: randomUUID(), role: 'member' };
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));

beforeAll(async () => {
  database = await createDatabase();
  const settings = { KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '10' };
  app = await createApp(loadConfig(settings), database.url);
  await app.init();
  commands = app.get(CommandBus);
  await rows(`insert into users (id, email, username, password_hash) values ($1, 'o@example.com', 'owner', 'x')`, [
    owner.user_id,
  ]);
});

afterAll(async () => {
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  await rows('delete from outbox_events');
  await rows('delete from runs');
  board_id = randomUUID();
  await rows(`insert into boards (id, name, owner_id) values ($1, 'b', $2)`, [board_id, owner.user_id]);
  await rows(`insert into board_members (board_id, user_id, role) values ($1, $2, 'owner')`, [board_id, owner.user_id]);
});

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);
const limit = (patch: WipLimitsPatch) => commands.execute(new SetWipLimitsCommand(owner, board_id, patch, null));
const move = (id: string, state: TaskState, force = false) =>
  commands.execute(new MoveTaskCommand(owner, id, state, { reason: null, force }, null));
const dispatched = (task: string, run = randomUUID()) =>
  commands.execute(new ApplyRunToTaskCommand(task, run, 'dispatched', null, null));
const start = (task: string) => commands.execute(new StartRunCommand(owner, task));
const counts = async () => (await app.get(QueryBus).execute(new GetBoardQuery(owner, board_id))).task_counts;

/** Tasks on the board, in one statement. */
async function tasks(count: number, state: TaskState = 'TODO', agent_type: string | null = null): Promise<string[]> {
  const made = await rows<{ id: string }>(
    `insert into tasks (board_id, title, description, state, agent_type, created_by)
     select $1, 'T', 'd', $2, $3, $4 from generate_series(1, $5) returning id`,
    [board_id, state, agent_type, owner.user_id, count],
  );
  return made.map(({ id }) => id);
}

/** Tasks with queued runs, of which the first is the first of the queue. */
async function queued(count: number): Promise<string[]> {
  const ids = await tasks(count, 'TODO', 'demo-agent');
  for (const id of ids) await start(id);
  return ids;
}

/** Those of the tasks whose run may be claimed, in their order. */
async function letGo(ids: string[]): Promise<string[]> {
  const free = await rows<{ task_id: string }>(
    `select task_id from runs where state = 'QUEUED' and not waits_for_tasks and not_before is null`,
  );
  return ids.filter((id) => free.some(({ task_id }) => task_id === id));
}

async function deliver(): Promise<void> {
  const relay = new OutboxRelay(app.get(Transactions), app.get(OutboxHandlers), new Workers());
  relay.start();
  await until('the events to be delivered', async () => (await rows('select 1 from outbox_events')).length === 0);
  await relay.stop();
}

const codes = (all: PromiseSettledResult<unknown>[]) =>
  all.map((one) => {
    if (one.status === 'fulfilled') return 'done';
    return one.reason instanceof DomainError ? one.reason.code : String(one.reason);
  });

describe('the last places of a column', () => {
  it('go to as many as there are, of 50 who move, dispatch and use bulk at once', async () => {
    await limit({ IN_PROGRESS: 7 });
    await tasks(2, 'IN_PROGRESS');
    const ids = await tasks(50);
    const moved = await Promise.allSettled([
      ...ids.slice(0, 20).map((id) => move(id, 'IN_PROGRESS')),
      ...ids.slice(20, 40).map(async (id) => {
        if ((await dispatched(id)).wip_full) throw new DomainError('conflict', 'board.wip_limit', 'full');
      }),
      ...[ids.slice(40, 45), ids.slice(45)].map((task_ids) => {
        const input = { action: 'set_state', task_ids, state: 'IN_PROGRESS', reason: null, force: false } as const;
        return commands.execute(new BulkTasksCommand(owner, board_id, input));
      }),
    ]);
    expect(new Set(codes(moved))).toEqual(new Set(['done', 'board.wip_limit']));
    expect(await counts()).toMatchObject({ IN_PROGRESS: 7, TODO: 45 });
  });

  it('are never one too many while others come and go', async () => {
    await limit({ IN_PROGRESS: 3 });
    const ids = await tasks(12);
    let most = 0;
    const rounds = ids.map(async (id) => {
      for (let round = 0; round < 4; round++) {
        const [came] = await Promise.allSettled([move(id, 'IN_PROGRESS')]);
        most = Math.max(most, (await counts()).IN_PROGRESS);
        if (came.status === 'fulfilled') await move(id, 'BLOCKED');
      }
    });
    await Promise.all(rounds);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(3);
    expect((await counts()).IN_PROGRESS).toBe(0);
  });

  it('are kept from a run whose task would be one too many, and not from one whose task is there', async () => {
    await limit({ IN_PROGRESS: 1 });
    const [first = '', second = ''] = await tasks(2);
    const run = randomUUID();
    expect(await dispatched(first, run)).toEqual({ state: 'IN_PROGRESS' });
    expect(await dispatched(second)).toEqual({ state: 'TODO', wip_full: true });
    expect(await dispatched(first)).toEqual({ state: 'IN_PROGRESS' }); // another attempt, another run
    await move(first, 'BLOCKED');
    await move(second, 'IN_PROGRESS');
    expect(await dispatched(first, randomUUID())).toEqual({ state: 'BLOCKED', wip_full: true });
    expect(await app.get(QueryBus).execute(new FindWipBlocksQuery([first, second]))).toMatchObject([
      { task_id: first, board_id, state: 'IN_PROGRESS', max_tasks: 1, tasks: 1 },
    ]);
  });

  it('are not taken by archived tasks, who need one to come back', async () => {
    await limit({ TODO: 1 });
    const [first = ''] = await tasks(1);
    await commands.execute(new ArchiveTaskCommand(owner, first, true, null));
    await tasks(1);
    const back = commands.execute(new ArchiveTaskCommand(owner, first, false, null));
    await expect(back).rejects.toMatchObject({ code: 'board.wip_limit', details: { state: 'TODO', tasks: 1 } });
    await limit({ TODO: null });
    await commands.execute(new ArchiveTaskCommand(owner, first, false, null));
  });
});

describe('runs of a board with a limit', () => {
  it('are let go one at a time, of 20, the first of the queue first, as places become free', async () => {
    await limit({ IN_PROGRESS: 1 });
    const ids = await queued(20);
    expect(await letGo(ids)).toEqual([]); // until it is looked whose turn it is
    const order: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      await deliver();
      const [next = '', ...others] = await letGo(ids);
      expect(others).toEqual([]);
      order.push(next);
      await dispatch(next);
      await deliver();
      expect(await letGo(ids)).toEqual([]);
      await end(next);
    }
    expect(order).toEqual(ids.slice(0, 4));
  });

  it('are let go as the limit says that was set while they waited, and all when it is taken away', async () => {
    const ids = await queued(6);
    await deliver();
    for (const [max, count] of [
      [2, 2],
      [0, 0],
      [4, 4],
      [1, 1],
      [null, 6],
    ] as const) {
      await limit({ IN_PROGRESS: max });
      await deliver();
      expect(await letGo(ids)).toEqual(ids.slice(0, count));
    }
  });

  it('give a place that they were to get to the next, when they are stopped or their task is deleted or has to wait', async () => {
    await limit({ IN_PROGRESS: 1 });
    const [a = '', b = '', c = '', d = ''] = await queued(4);
    await deliver();
    expect(await letGo([a, b, c, d])).toEqual([a]);
    await commands.execute(new StopRunCommand(owner, a, null, false));
    await deliver();
    expect(await letGo([a, b, c, d])).toEqual([b]);
    const [other = ''] = await tasks(1);
    await commands.execute(new UpdateTaskCommand(owner, b, { depends_on: [other] }, null));
    await deliver();
    expect(await letGo([a, b, c, d])).toEqual([c]);
  });

  it('follow the priority of their task, and one that comes later with one of its own does not', async () => {
    await limit({ IN_PROGRESS: 1 });
    const [a = '', b = ''] = await queued(2);
    await deliver();
    expect(await letGo([a, b])).toEqual([a]);
    await commands.execute(new UpdateTaskCommand(owner, b, { priority: 7 }, null));
    const again = await rows('select * from outbox_events');
    await deliver();
    expect(await letGo([a, b])).toEqual([b]);
    const [run] = await rows<{ priority: number; ahead: number }>(
      `select priority, extract(epoch from queued_at - rank_at)::int as ahead from runs where task_id = $1`,
      [b],
    );
    expect(run).toEqual({ priority: 7, ahead: 420 });
    // The same news, late and once more, of a run that was asked for since with a priority of its own.
    await commands.execute(new StopRunCommand(owner, b, null, false));
    await deliver();
    await move(b, 'TODO');
    await commands.execute(new StartRunCommand(owner, b, { priority: 3 }));
    await deliver();
    await repeat(again);
    expect(await rows(`select priority from runs where task_id = $1 and state = 'QUEUED'`, [b])).toEqual([
      { priority: 3 },
    ]);
  });

  it('are put right by the reconcile loop where the news was lost, whoever looks at the same time', async () => {
    await limit({ IN_PROGRESS: 2 });
    const ids = await queued(8);
    await rows('delete from outbox_events');
    const waits = app.get(RunWaits);
    await Promise.all([waits.reviewSome(), waits.reviewTasks(ids), app.get(RunPlaces).align(board_id)]);
    expect(await letGo(ids)).toEqual(ids.slice(0, 2));
    await rows(`update tasks set state = 'IN_PROGRESS' where id = $1`, [ids[7]]); // by nobody that we know of
    await waits.reviewSome();
    expect(await letGo(ids)).toEqual([ids[0], ids[7]]); // it is there already, and takes no further place
    await rows(`update tasks set state = 'IN_PROGRESS' where id = any($1)`, [[ids[5], ids[6]]]); // more than may be
    await waits.reviewSome();
    expect(await letGo(ids)).toEqual([ids[5], ids[6], ids[7]]);
  });

  it('do not leave a place empty for one that is held up by something else', async () => {
    await limit({ IN_PROGRESS: 1 });
    const [a = '', b = '', c = ''] = await queued(3);
    await deliver();
    await rows(`update runs set updated_at = now() - interval '2 minutes' where task_id = $1`, [a]);
    await app.get(RunWaits).reviewSome();
    expect(await letGo([a, b, c])).toEqual([a, b]);
  });

  /** What a claim and its dispatch do. */
  async function dispatch(task: string): Promise<void> {
    const [run] = await rows<{ id: UUID }>(
      `update runs set state = 'RUNNING', attempt = 1, epoch = 1 where task_id = $1 returning id`,
      [task],
    );
    expect(await dispatched(task, run?.id)).toEqual({ state: 'IN_PROGRESS' });
  }

  async function end(task: string): Promise<void> {
    const [run] = await rows<{ id: string }>(
      `update runs set state = 'COMPLETED', finished_at = now() where task_id = $1 returning id`,
      [task],
    );
    await commands.execute(new ApplyRunToTaskCommand(task, run?.id ?? '', 'completed', null, null));
  }

  async function repeat(events: object[]): Promise<void> {
    for (const event of events) {
      const names = Object.keys(event);
      await rows(
        `insert into outbox_events (${names.join(', ')}) values (${names.map((_, n) => `$${n + 1}`).join(', ')})`,
        Object.values(event),
      );
    }
    await deliver();
  }
});
