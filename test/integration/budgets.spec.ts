import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventBus, QueryBus } from '@nestjs/cqrs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/common/audit/audit-log.js';
import type { Config } from '../../src/common/config/config.js';
import { MessageLog } from '../../src/modules/agent/app/message-log.js';
import { OutputCapture } from '../../src/modules/agent/app/output-capture.js';
import { SumUsageHandler } from '../../src/modules/agent/app/usage.queries.js';
import { SumUsageQuery, type UsageSum } from '../../src/modules/agent/contracts/usage.queries.js';
import { AgentClock } from '../../src/modules/agent/domain/agent-clock.js';
import { AttemptBudget } from '../../src/modules/agent/domain/attempt-budget.js';
import type { AttemptFailure } from '../../src/modules/agent/domain/outcome.js';
import { Redactor } from '../../src/modules/agent/domain/redaction.js';
import { HostRunDirectories } from '../../src/modules/agent/infra/files/host-run-directories.js';
import { AttemptEnds } from '../../src/modules/orchestrator/app/attempt-ends.js';
import { BudgetBook } from '../../src/modules/orchestrator/app/budget-book.js';
import type { BudgetTargets } from '../../src/modules/orchestrator/app/budget-targets.js';
import { RemoveBudgetCommand, RemoveBudgetHandler } from '../../src/modules/orchestrator/app/change-budget.js';
import { DispatchSignal } from '../../src/modules/orchestrator/app/dispatch-signal.js';
import { LaunchGate } from '../../src/modules/orchestrator/app/launch-gate.js';
import type { ClaimedRun } from '../../src/modules/orchestrator/app/run-rows.js';
import type { RunWaits } from '../../src/modules/orchestrator/app/run-waits.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';
import { until } from '../support/until.js';

const HOUR_S = 3600;
const ADMIN = { user_id: null, role: 'admin' } as const;
const NEVER = (): never => {
  throw new Error('no limit of time is broken here');
};

let database: TestDatabase;
let book: BudgetBook;
let directory: string;
let board_id: string;
/** Carries queries to the module that answers them, as the bus does. */
let bus: QueryBus;

const run = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);

beforeAll(async () => {
  database = await openTestDatabase();
  const usage = new SumUsageHandler(database.transactions);
  bus = { execute: (asked: SumUsageQuery) => usage.execute(asked) } as unknown as QueryBus;
  book = new BudgetBook(database.transactions, bus);
  directory = mkdtempSync(join(tmpdir(), 'kandev-budgets-'));
});

afterAll(async () => {
  await database.close();
  rmSync(directory, { recursive: true });
});

beforeEach(async () => {
  await run('truncate runs, budgets, usage_days, usage_totals cascade');
  ({ board_id } = await database.task());
});

interface Attempt {
  id: string;
  task_id: string;
  run_id: string;
}

/** A run with an attempt; columns of both may be given. */
async function attempt(columns: Record<string, unknown> = {}): Promise<Attempt> {
  const { task_id } = await database.task();
  const made = { id: randomUUID(), task_id, run_id: randomUUID() };
  await run(
    `insert into runs (id, task_id, board_id, agent_type, state, attempt, epoch)
     values ($1, $2, $3, 'demo-agent', 'STARTING', 1, 1)`,
    [made.run_id, task_id, board_id],
  );
  await run(
    `insert into agent_instances (id, task_id, board_id, run_id, attempt, epoch, agent_type, runtime, image_name, status)
     values ($1, $2, $3, $4, 1, 1, 'demo-agent', 'process', 'a', 'STARTING')`,
    [made.id, task_id, board_id, made.run_id],
  );
  await change(made, columns);
  return made;
}

async function change({ id }: Attempt, columns: Record<string, unknown>): Promise<void> {
  const names = Object.keys(columns);
  if (names.length === 0) return;
  const list = names.map((name, n) => `${name} = $${n + 2}`).join(', ');
  await run(`update agent_instances set ${list} where id = $1`, [id, ...Object.values(columns)]);
}

async function sums(of: { boards?: string[]; tasks?: string[]; runs?: string[] }): Promise<UsageSum[]> {
  return (await bus.execute(new SumUsageQuery({ boards: [], tasks: [], runs: [], ...of }))).sums;
}

async function boardSum(day: 'all' | 'today' = 'all'): Promise<UsageSum | undefined> {
  return (await sums({ boards: [board_id] })).find((sum) => (sum.day === null) === (day === 'all'));
}

const budget = (period: string, limits: Record<string, number>) =>
  run(
    `insert into budgets (scope, subject, period, ${Object.keys(limits).join(', ')}) values ('board', $1, $2,
     ${Object.values(limits).join(', ')})`,
    [board_id, period],
  );

/** As it goes when its run has ended. */
async function removeTask({ task_id }: Attempt): Promise<void> {
  await run(`update runs set state = 'CANCELLED' where task_id = $1`, [task_id]);
  await run('delete from tasks where id = $1', [task_id]);
}

describe('what an attempt has used', () => {
  it('is added up once, whoever says that it has ended, and however often', async () => {
    const one = await attempt({ messages: 3, stdout_offset: 10, posted_bytes: 5, tokens_in: 7, cost_usd: 0.1 });
    await change(one, { status: 'RUNNING' });
    await change(one, { epoch: 2 }); // taken over
    await change(one, { status: 'COMPLETED' });
    await change(one, { status: 'COMPLETED' });
    await change(one, { epoch: 3, status: 'COMPLETED' });
    const two = await attempt({ messages: 4, tokens_out: 8, cost_usd: 0.2 });
    await change(two, { status: 'LOST' });
    const used = { messages: 7, output_bytes: 15, tokens_in: 7, tokens_out: 8, cost_usd: 0.3 };
    expect(await boardSum()).toMatchObject(used);
    expect(await boardSum('today')).toMatchObject(used);
    expect(await sums({ tasks: [two.task_id] })).toMatchObject([{ messages: 4 }, { messages: 4 }]);
    await removeTask(one);
    expect(await boardSum()).toMatchObject(used); // the board has used it all the same
  });

  it('is not lost with a task that is deleted while it runs, and is nothing once its board is', async () => {
    const one = await attempt({ status: 'RUNNING', messages: 3 });
    await removeTask(one);
    expect(await boardSum()).toMatchObject({ messages: 3 });
    const [{ id: other } = { id: '' }] = await run<{ id: string }>(
      `insert into boards (id, name, owner_id) select gen_random_uuid(), 'b', owner_id from boards limit 1 returning id`,
    );
    const two = await attempt({ board_id: other, messages: 4 });
    await run(`update tasks set board_id = $2 where id = $1`, [two.task_id, other]);
    await run(`update runs set state = 'CANCELLED' where id = $1`, [two.run_id]);
    await run('delete from boards where id = $1', [other]);
    expect(await run('select 1 from usage_totals where board_id = $1', [other])).toEqual([]);
  });

  it('is not added where the transaction that ends it is rolled back', async () => {
    const one = await attempt({ messages: 3 });
    await run(`begin; update agent_instances set status = 'FAILED' where id = '${one.id}'; rollback`);
    expect(await run('select 1 from usage_totals')).toEqual([]);
    await change(one, { status: 'FAILED' });
    expect(await boardSum()).toMatchObject({ messages: 3 });
  });

  it('counts the time that it ran, without pauses, by one clock; and while it runs as well', async () => {
    const one = await attempt({ status: 'RUNNING' });
    const backdate = (seconds: number) =>
      run(`update agent_instances set ran_since = ran_since - make_interval(secs => $2) where id = $1`, [
        one.id,
        seconds,
      ]);
    await backdate(100);
    expect(Math.floor((await boardSum())!.wall_clock_ms / 1000)).toBe(100);
    await change(one, { status: 'PAUSED' });
    const atPause = (await boardSum())!.wall_clock_ms;
    expect((await boardSum())!.wall_clock_ms).toBe(atPause);
    await change(one, { status: 'RUNNING' });
    await backdate(20);
    await change(one, { status: 'STOPPED' });
    expect(Math.floor((await boardSum())!.wall_clock_ms / 1000)).toBe(120);
  });

  it('counts for the day on which it began, running or not', async () => {
    const yesterday = new Date(Date.now() - 86_400_000);
    await attempt({ created_at: yesterday, messages: 5 });
    const over = await attempt({ created_at: yesterday, messages: 6 });
    await change(over, { status: 'COMPLETED' });
    await attempt({ messages: 7 });
    const days = (await sums({ boards: [board_id] })).map((sum) => [sum.day ?? 'all', sum.messages]);
    const day = (time: Date) => time.toISOString().slice(0, 10);
    expect(Object.fromEntries(days)).toEqual({ all: 18, [day(yesterday)]: 11, [day(new Date())]: 7 });
  });
});

/** Reads what the agent writes, under the board's budgets; resolves to why it was ended. */
function capture(one: Attempt, held: AttemptBudget): { done: Promise<AttemptFailure | undefined>; ended: () => void } {
  let failure: AttemptFailure | undefined;
  const log = new MessageLog({ publish: () => undefined } as unknown as EventBus);
  const reader: OutputCapture = new OutputCapture(
    { task_id: one.task_id, run_id: one.run_id, agent_id: one.id, epoch: 1, stdout_offset: 0, stderr_offset: 0 },
    {
      ...{ transactions: database.transactions, log, redactor: Redactor.none, budget: held },
      runDirectories: new HostRunDirectories({ runs_directory: directory } as Config),
      breach: (why) => {
        failure = why;
        reader.agentHasEnded();
        return Promise.resolve();
      },
      limits: {
        ...{ max_output_bytes: Number.MAX_SAFE_INTEGER },
        ...{ inactivity_timeout_seconds: HOUR_S, wall_clock_timeout_seconds: HOUR_S },
      },
      failures: { inactive: NEVER, outOfTime: NEVER },
      clock: new AgentClock({ started_at: new Date(), paused_ms: 0 }),
    },
  );
  const done = reader.run(new AbortController().signal).then(() => failure);
  return { done, ended: () => reader.agentHasEnded() };
}

const write = ({ id }: Attempt, lines: number) =>
  appendFileSync(join(directory, id, 'out'), '{"type":"log","data":{"usage":{"input_tokens":5}}}\n'.repeat(lines));

async function writer(): Promise<{ one: Attempt; held: AttemptBudget }> {
  const one = await attempt({ status: 'RUNNING' });
  mkdirSync(join(directory, one.id));
  for (const name of ['out', 'err']) writeFileSync(join(directory, one.id, name), '');
  return { one, held: new AttemptBudget() };
}

async function refresh({ one, held }: { one: Attempt; held: AttemptBudget }): Promise<void> {
  const [subjects] = await book.subjectsOf([one.run_id]);
  const [caps] = await book.caps([{ agent_id: one.id, run: subjects! }]);
  held.hold(caps ?? null, 0);
}

const messagesOf = async ({ id }: Attempt) =>
  (await run<{ messages: string }>('select messages from agent_instances where id = $1', [id])).map(({ messages }) =>
    Number(messages),
  )[0];

describe('runs that share a budget', () => {
  it('count as they are stored, and end where it does: over it by what they had under way', async () => {
    await budget('total', { messages: 1000 });
    const agents = [await writer(), await writer()];
    await Promise.all(agents.map(refresh));
    const captures = agents.map(({ one, held }) => capture(one, held));
    const open = new Set(agents);
    const failures = captures.map(async ({ done }, n) => done.finally(() => open.delete(agents[n]!)));
    for (let round = 1; open.size > 0; round++) {
      for (const agent of open) {
        write(agent.one, 100);
        await refresh(agent);
      }
      await until('what is written to be stored', async () => {
        const lines = await Promise.all([...open].map(({ one }) => messagesOf(one)));
        return lines.every((count) => count === 100 * round);
      });
    }
    for (const failure of await Promise.all(failures)) {
      expect(failure).toMatchObject({ code: 'budget.exceeded' });
      expect(failure?.message).toContain('budget of the board for all runs together, 1,000 messages');
    }
    const { messages, tokens_in } = (await boardSum())!;
    expect(messages).toBeGreaterThan(1000);
    expect(messages).toBeLessThanOrEqual(1000 + 2 * 200); // of each: one read, and what the other has used since it was asked
    expect(tokens_in).toBe(10);
    const [{ stored } = { stored: 0 }] = await run<{ stored: number }>(
      'select count(*)::int as stored from acp_messages',
    );
    expect(stored).toBe(messages);
  });

  it('end each by its own use where the budget is of each run', async () => {
    await budget('run', { messages: 50 });
    const [large, small] = [await writer(), await writer()];
    await Promise.all([large, small].map(refresh));
    write(large.one, 51);
    write(small.one, 50);
    const [first, second] = [capture(large.one, large.held), capture(small.one, small.held)];
    second.ended();
    expect((await first.done)?.code).toBe('budget.exceeded');
    expect(await second.done).toBeUndefined();
  });
});

describe('the gate', () => {
  let gate: LaunchGate;
  let remove: RemoveBudgetHandler;
  beforeAll(() => {
    const { transactions } = database;
    const waits = { mustWait: () => Promise.resolve(false) } as unknown as RunWaits;
    gate = new LaunchGate(transactions, waits, new DispatchSignal(), book, new AttemptEnds({} as Config));
    const targets = { subject: () => Promise.resolve(board_id) } as unknown as BudgetTargets;
    remove = new RemoveBudgetHandler(transactions, targets, new AuditLog(transactions));
  });

  /** A run that was just claimed, and has no attempt's row. */
  async function claimed(): Promise<ClaimedRun> {
    const { task_id, run_id } = await attempt();
    await run('delete from agent_instances where run_id = $1', [run_id]);
    return { id: run_id, task_id, attempt: 1, epoch: 1 } as ClaimedRun;
  }
  const row = async ({ id }: ClaimedRun) => {
    const columns = 'state, attempt, host_id, parked_for, not_before::text, not_before > now() as later';
    return (await run<Record<string, unknown>>(`select ${columns} from runs where id = $1`, [id]))[0];
  };

  it('lets pass what has something left of each, and parks until tomorrow where the day has nothing', async () => {
    await budget('day', { messages: 5 });
    await attempt({ messages: 4 });
    expect(await gate.passes(await claimed())).toBe(true);
    await attempt({ messages: 1 });
    const held = await claimed();
    expect(await gate.passes(held)).toBe(false);
    expect(await row(held)).toMatchObject({
      state: 'QUEUED',
      attempt: 0,
      host_id: null,
      parked_for: 'budget',
      later: true,
    });
    expect((await row(held))?.['not_before']).toContain('00:00:00');
  });

  it('refuses with the reason where only a person can help, unless the run is being stopped', async () => {
    await budget('total', { messages: 1 });
    await attempt({ messages: 3 });
    const [refused, stopping] = [await claimed(), await claimed()];
    await expect(gate.passes(refused)).rejects.toMatchObject({
      code: 'budget.exhausted',
      message: expect.stringContaining('3 of 1 messages') as string,
    });
    await run(`update runs set state = 'STOPPING' where id = $1`, [stopping.id]);
    expect(await gate.passes(stopping)).toBe(false);
    expect(await row(stopping)).toMatchObject({ state: 'CANCELLED' });
  });

  it('parks nothing behind a budget that is taken away in the same moment', async () => {
    for (let n = 0; n < 5; n++) {
      await budget('day', { messages: 0 });
      const runs = await Promise.all([claimed(), claimed(), claimed()]);
      const target = { scope: 'board', id: board_id } as const;
      const [, ...passed] = await Promise.all([
        remove.execute(new RemoveBudgetCommand(ADMIN, target, 'day')),
        ...runs.map((one) => gate.passes(one)),
      ]);
      for (const [index, one] of runs.entries())
        expect(await row(one)).toMatchObject({ state: passed[index] ? 'STARTING' : 'QUEUED', parked_for: null });
    }
  });
});
