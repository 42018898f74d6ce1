import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { SYSTEM, type Actor } from '../../src/common/auth/actor.js';
import { loadConfig, type Config } from '../../src/common/config/config.js';
import { ENGINE_LABEL } from '../../src/common/validation/host-label.js';
import { RegisterUserCommand } from '../../src/modules/identity/app/register-user.js';
import { DeadLetters } from '../../src/modules/orchestrator/app/dead-letter-rows.js';
import { LaunchGate } from '../../src/modules/orchestrator/app/launch-gate.js';
import { QueueUpkeep } from '../../src/modules/orchestrator/app/queue-upkeep.js';
import {
  RedriveDeadLetterCommand,
  RedriveDeadLettersCommand,
} from '../../src/modules/orchestrator/app/redrive-dead-letters.js';
import { RunClaims } from '../../src/modules/orchestrator/app/run-claims.js';
import type { ClaimedRun } from '../../src/modules/orchestrator/app/run-rows.js';
import { RunStarts } from '../../src/modules/orchestrator/app/start-run.js';
import { RunSync } from '../../src/modules/orchestrator/app/sync-run.js';
import { StartRunCommand, StopRunCommand } from '../../src/modules/orchestrator/contracts/run.commands.js';
import type { EffectiveRetryPolicy } from '../../src/modules/orchestrator/domain/retry-policy.js';
import { CreateBoardCommand } from '../../src/modules/task/app/board.crud.js';
import { CreateTaskCommand } from '../../src/modules/task/app/task.crud.js';
import { createDatabase, query } from '../support/database.js';

const POLICY: EffectiveRetryPolicy = { max_attempts: 3, backoff_seconds: 60, max_backoff_seconds: 600, retry_on: null };
const LEASE = '2099-01-01T00:00:00Z';

/** The whole application without its background loops: nothing happens but what a test does. */
let app: NestFastifyApplication;
let config: Config;
let database: Awaited<ReturnType<typeof createDatabase>>;
let owner: Actor;
let board_id: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));

beforeAll(async () => {
  database = await createDatabase();
  config = loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '10' });
  app = await createApp(config, database.url);
  await app.init();
  const commands = app.get(CommandBus);
  const { user } = await commands.execute(new RegisterUserCommand('a@example.com', 'admin', 'long enough a password'));
  owner = { user_id: user.id, role: user.role };
  board_id = (await commands.execute(new CreateBoardCommand(owner, { name: 'Board', description: null }))).id;
  const room = { slots: 1000, memory_bytes: 2 ** 40, cpus: 1000, server_version: '1' };
  const times = { started_at: new Date(), heartbeat_at: new Date() };
  await insert('agent_hosts', { id: config.host_id, name: 'here', labels: [ENGINE_LABEL], ...room, ...times });
  await app.get(QueueUpkeep, { strict: false }).copyNeeds();
});

afterAll(async () => {
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

const sync = () => app.get(RunSync, { strict: false });

async function insert(table: string, row: Record<string, unknown>): Promise<void> {
  const names = Object.keys(row);
  const places = names.map((_, index) => `$${index + 1}`);
  await query(
    database.url,
    `insert into ${table} (${names.join(', ')}) values (${places.join(', ')})`,
    Object.values(row),
  );
}

async function newTask(): Promise<string> {
  const timeouts = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null, retry_policy: null };
  const nothing = { agent_type: 'demo-agent', repository_url: null, branch: null, metadata: {}, ...timeouts };
  const input = { title: 'Task', description: 'Do it', priority: 0, ...nothing };
  return (await app.get(CommandBus).execute(new CreateTaskCommand(owner, board_id, input))).id;
}

/** A run at work, of a new task unless one is given. */
async function running(columns: Record<string, unknown> = {}): Promise<{ id: string; task_id: string }> {
  const task_id = (columns['task_id'] as string | undefined) ?? (await newTask());
  const claim = { host_id: config.host_id, lease_owner: crypto.randomUUID(), lease_expires_at: LEASE };
  const held = { state: 'RUNNING', attempt: 1, epoch: 1, claimed_at: new Date(), reserved_memory_bytes: 512, ...claim };
  const row = { id: crypto.randomUUID(), board_id, agent_type: 'demo-agent', retry_policy: POLICY, ...held };
  await insert('runs', { ...row, requested_by: owner.user_id, ...columns, task_id });
  return { id: row.id, task_id };
}

/** Its agent, which has ended. */
async function agentOf(run: { id: string; task_id: string }, columns: Record<string, unknown> = {}): Promise<string> {
  const of = { run_id: run.id, task_id: run.task_id, board_id, attempt: 1, epoch: 1 };
  const what = { agent_type: 'demo-agent', runtime: 'docker', image_name: 'demo' };
  const row = { id: crypto.randomUUID(), ...of, ...what, status: 'LOST', failure_code: 'agent.lost', ...columns };
  await insert('agent_instances', { error_message: 'It is gone.', ...row });
  return row.id;
}

interface RunRow {
  state: string;
  attempt: number;
  version: number;
  host_id: string | null;
  parked_for: string | null;
  seconds: number | null;
}

async function runRow(id: string): Promise<RunRow & Record<string, unknown>> {
  const sql = `select *, extract(epoch from not_before - now())::float8 as seconds from runs where id = $1`;
  return (await query<RunRow & Record<string, unknown>>(database.url, sql, [id]))[0]!;
}

const attempts = (run_id: string) =>
  query<Record<string, unknown>>(database.url, 'select * from run_attempts where run_id = $1 order by attempt', [
    run_id,
  ]);

const told = async (run_id: string) =>
  (await query(database.url, `select 1 from outbox_events where aggregate_id = $1`, [run_id])).length;

describe('an attempt that has failed', () => {
  it('while a person held it is left to that person', async () => {
    const run = await running({ state: 'PAUSED' });
    await agentOf(run);
    await sync().followAgent(run.id);
    expect(await runRow(run.id)).toMatchObject({ state: 'FAILED', failure_code: 'agent.lost', parked_for: null });
    const [attempt] = await attempts(run.id);
    expect(attempt).toMatchObject({ state: 'LOST', retry_at: null });
    expect(attempt?.['retry_decision']).toContain('paused');
  });

  it('is told ten times at once, and tried again once', async () => {
    const run = await running();
    const agent_id = await agentOf(run);
    await Promise.all(Array.from({ length: 10 }, () => sync().followAgent(run.id)));
    const row = await runRow(run.id);
    expect(row).toMatchObject({
      ...{ state: 'QUEUED', attempt: 1, epoch: 1, version: 2, parked_for: 'back_off', failure_code: 'agent.lost' },
      ...{ host_id: null, lease_owner: null, claimed_at: null, reserved_memory_bytes: 0, dead_lettered_at: null },
    });
    expect(row.seconds).toBeGreaterThan(20);
    expect(row.seconds).toBeLessThanOrEqual(60);
    expect(await attempts(run.id)).toMatchObject([
      { attempt: 1, epoch: 1, state: 'LOST', agent_id, host_id: config.host_id, failure_code: 'agent.lost' },
    ]);
    expect(await told(run.id)).toBe(1);
  });

  it('waits as long as its provider has asked, and is claimed as the next one when that is over', async () => {
    const run = await running();
    const how = { status: 'FAILED', failure_code: 'agent.exit_code', retry_after_seconds: 7200 };
    await agentOf(run, how);
    await sync().followAgent(run.id);
    const row = await runRow(run.id);
    expect(row).toMatchObject({ state: 'QUEUED', parked_for: 'retry_after' });
    expect(row.seconds).toBeGreaterThan(7190);
    const [claims, upkeep] = [app.get(RunClaims, { strict: false }), app.get(QueueUpkeep, { strict: false })];
    expect(await claims.claimNext()).toBeUndefined();
    await query(database.url, `update runs set not_before = now() - interval '1 s' where id = $1`, [run.id]);
    expect(await claims.claimNext()).toBeUndefined(); // whoever was killed here has left nothing but rows
    expect((await upkeep.unpark()).unparked).toBe(1);
    expect(await claims.claimNext()).toMatchObject({ id: run.id, attempt: 2, epoch: 2 });
    await sync().followAgent(run.id); // what is told late of the first attempt
    expect(await runRow(run.id)).toMatchObject({ state: 'STARTING', attempt: 2, parked_for: null });
  });

  it('is the last one, and its run a dead letter', async () => {
    const run = await running({ attempt: 3, epoch: 5 });
    await agentOf(run, { attempt: 3, epoch: 5 });
    await Promise.all([sync().followAgent(run.id), sync().followAgent(run.id)]);
    expect(await runRow(run.id)).toMatchObject({ state: 'FAILED', failure_code: 'agent.lost', not_before: null });
    expect((await runRow(run.id))['dead_lettered_at']).toBeInstanceOf(Date);
    const last = { attempt: 3, retry_at: null, retry_decision: 'That was the last of 3 attempt(s).' };
    expect(await attempts(run.id)).toMatchObject([last]);
    expect(await told(run.id)).toBe(1);
  });

  it("goes by the server's settings in a run from before policies were kept", async () => {
    const run = await running({ retry_policy: null });
    await agentOf(run);
    await sync().followAgent(run.id);
    expect(await runRow(run.id)).toMatchObject({ state: 'QUEUED', parked_for: 'back_off' });
  });

  it('without an agent is tried again or not by the code; a claim that was lost meanwhile says nothing', async () => {
    const run = await running({ state: 'STARTING', attempt: 2, epoch: 4 });
    await sync().fail(run.id, 'server.error', 'Ours', { attempt: 1, epoch: 3 });
    expect(await runRow(run.id)).toMatchObject({ state: 'STARTING', version: 1 });
    await sync().fail(run.id, 'server.error', 'Ours', { attempt: 2, epoch: 4 });
    expect(await runRow(run.id)).toMatchObject({ state: 'QUEUED', attempt: 2 });
    const other = await running({ state: 'STARTING' });
    await sync().fail(other.id, 'agent_type.not_found', 'Gone');
    expect(await runRow(other.id)).toMatchObject({ state: 'FAILED', failure_code: 'agent_type.not_found' });
  });
});

describe('an attempt that has not', () => {
  it.each([
    ['COMPLETED', null],
    ['STOPPED', 'agent.stopped'],
  ])('%s, has its row and no next one', async (status, failure_code) => {
    const run = await running({ failure_code: 'agent.lost', failure_message: 'of an attempt before' });
    await agentOf(run, { status, failure_code });
    await sync().followAgent(run.id);
    const end = status === 'COMPLETED' ? 'COMPLETED' : 'CANCELLED';
    expect(await runRow(run.id)).toMatchObject({ state: end, failure_code: null, failure_message: null });
    expect(await attempts(run.id)).toMatchObject([{ state: end, retry_at: null }]);
  });
});

describe('a stop', () => {
  it('before there was an agent ends the attempt, and the run with it', async () => {
    const run = await running({ state: 'STOPPING', stop_reason: 'enough' });
    const claim = { ...run, attempt: 1, epoch: 1 } as ClaimedRun;
    expect(await app.get(LaunchGate, { strict: false }).passes(claim)).toBe(false);
    expect(await runRow(run.id)).toMatchObject({ state: 'CANCELLED', dead_lettered_at: null });
    expect(await attempts(run.id)).toMatchObject([{ state: 'CANCELLED', agent_id: null, retry_at: null }]);
  });

  it('that comes together with the failure always ends the run as cancelled', async () => {
    const runs = await Promise.all(Array.from({ length: 12 }, () => running()));
    await Promise.all(runs.map((run) => agentOf(run, { status: 'FAILED', failure_code: 'agent.killed' })));
    const stop = (task_id: string) => app.get(CommandBus).execute(new StopRunCommand(owner, task_id, 'enough', false));
    for (const [index, { id, task_id }] of runs.entries()) {
      const both = [() => stop(task_id), () => sync().followAgent(id)];
      await Promise.all((index % 2 ? both : both.toReversed()).map((one) => one()));
      await sync().followAgent(id);
      const row = await runRow(id);
      expect(row).toMatchObject({ state: 'CANCELLED', stop_reason: 'enough', not_before: null, parked_for: null });
      expect(await attempts(id)).toHaveLength(1);
    }
  });
});

describe('a dead letter', () => {
  const letter = async (columns: Record<string, unknown> = {}) => {
    const run = await running({ priority: 4, ...columns });
    await agentOf(run, { status: 'FAILED', failure_code: 'agent.exit_code' });
    await sync().followAgent(run.id);
    return run;
  };
  const redrive = (id: string) => app.get(CommandBus).execute(new RedriveDeadLetterCommand(owner, id));

  it('is redriven once, however many ask at once', async () => {
    const { id, task_id } = await letter();
    const receipts = await Promise.all(Array.from({ length: 5 }, () => redrive(id)));
    expect(new Set(receipts.map(({ run_id }) => run_id)).size).toBe(1);
    const [{ run_id }] = receipts as [(typeof receipts)[0], ...typeof receipts];
    expect(await runRow(run_id)).toMatchObject({ task_id, state: 'QUEUED', priority: 4, attempt: 0 });
    expect(await runRow(id)).toMatchObject({ state: 'FAILED', redriven_run_id: run_id });
    const lines = await query(database.url, `select 1 from audit_events where action = $1 and subject_id = $2`, [
      'dead_letter.redriven',
      id,
    ]);
    expect(lines).toHaveLength(1);
  });

  it('is not redriven while its task has a live run, nor when a later one has completed', async () => {
    const { id, task_id } = await letter({ queued_at: '2026-01-01T00:00:00Z' });
    const later = await running({ task_id });
    await expect(redrive(id)).rejects.toMatchObject({ kind: 'conflict', code: 'run.already_live' });
    await agentOf(later, { status: 'COMPLETED', failure_code: null });
    await sync().followAgent(later.id);
    await expect(redrive(id)).rejects.toMatchObject({ kind: 'conflict', code: 'dead_letter.overtaken' });
  });

  it('is one of many: each is answered for, and none of another kind is touched', async () => {
    const mine = await Promise.all([letter(), letter(), letter()]);
    const other = await running();
    const ids = [...mine.map(({ id }) => id), other.id];
    const result = await app.get(CommandBus).execute(new RedriveDeadLettersCommand(SYSTEM, { ids }));
    expect(result).toMatchObject({ succeeded: 3, failed: 1, remaining: 0 });
    expect(result.results.map(({ id, code }) => [id, code])).toEqual(
      ids.map((id) => [id, id === other.id ? 'dead_letter.not_found' : null]),
    );
  });

  it('is passed by where the actor may not run its task, and where it always fails, by the cursor', async () => {
    const commands = app.get(CommandBus);
    const email = `${crypto.randomUUID()}@example.com`;
    const { user } = await commands.execute(new RegisterUserCommand(email, 'member', 'long enough a password'));
    const member: Actor = { user_id: user.id, role: user.role };
    const filter = { agent_type: 'demo-agent', failure_code: 'agent.exit_code' };
    await insert('board_members', { board_id, user_id: user.id, role: 'viewer' });
    const first = await letter();
    const redriveBy = (actor: Actor, cursor: string | null = null) =>
      commands.execute(new RedriveDeadLettersCommand(actor, { filter, cursor }));
    const none = { results: [], succeeded: 0, failed: 0, remaining: 0, next_cursor: null };
    expect(await redriveBy(member)).toEqual(none);
    await query(database.url, `update board_members set role = 'editor' where user_id = $1`, [user.id]);
    const meant = (cursor: string | null) =>
      app.get(DeadLetters, { strict: false }).meant(member, { ...filter, board_id }, cursor, 1);
    await letter();
    const page = await meant(null);
    expect(page).toMatchObject({ ids: [expect.any(String)], next_cursor: expect.any(String) });
    const next = await meant(page.next_cursor);
    expect(next.ids).not.toEqual(page.ids);
    expect(next.remaining).toBe(page.remaining - 1);
    await expect(redriveBy(member, 'no-cursor')).rejects.toMatchObject({ code: 'request.invalid' });
    const { succeeded } = await redriveBy(member);
    expect(succeeded).toBeGreaterThanOrEqual(2);
    expect(await runRow(first.id)).toMatchObject({ redriven_run_id: expect.any(String) });
  });

  it('that was dismissed meanwhile does not reopen its task', async () => {
    const { id, task_id } = await letter();
    await query(database.url, `update tasks set state = 'FAILED' where id = $1`, [task_id]);
    await query(database.url, `update runs set dismissed_at = now() where id = $1`, [id]);
    const letters = app.get(DeadLetters, { strict: false });
    const also = { first: () => letters.requireWanted({ id }), besides: () => Promise.resolve() };
    const start = new StartRunCommand(owner, task_id, { force: true }, null);
    await expect(app.get(RunStarts, { strict: false }).start(start, also)).rejects.toMatchObject({
      code: 'dead_letter.gone',
    });
    expect(await query(database.url, 'select state from tasks where id = $1', [task_id])).toEqual([
      { state: 'FAILED' },
    ]);
  });
});
