import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { MikroORM } from '@mikro-orm/postgresql';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { loadConfig, type Config } from '../../src/common/config/config.js';
import { LeftAgents } from '../../src/modules/agent/app/left-agents.js';
import { WorkspaceRescuer } from '../../src/modules/agent/app/rescue-workspace.js';
import { SYSTEM } from '../../src/common/auth/actor.js';
import { LaunchAgentCommand } from '../../src/modules/agent/contracts/agent.commands.js';
import { AgentInstance } from '../../src/modules/agent/domain/agent-instance.entity.js';
import { GetOrchestratorStatusQuery } from '../../src/modules/orchestrator/app/orchestrator-status.query.js';
import { QueueUpkeep } from '../../src/modules/orchestrator/app/queue-upkeep.js';
import { RunClaims } from '../../src/modules/orchestrator/app/run-claims.js';
import { RunDriver } from '../../src/modules/orchestrator/app/run-driver.js';
import { LEASE_OWNER } from '../../src/modules/orchestrator/app/run-rows.js';
import { GetRunStatusQuery } from '../../src/modules/orchestrator/app/run-status.query.js';
import { RunSync } from '../../src/modules/orchestrator/app/sync-run.js';
import { createDatabase, query } from '../support/database.js';

/** The whole application without its background loops, beside an engine that takes every request and answers none. */
let app: NestFastifyApplication;
let engine: Server;
const sockets = new Set<Socket>();
let database: Awaited<ReturnType<typeof createDatabase>>;
let config: Config;
let board_id: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));
const user = randomUUID();
const actor = { user_id: user, role: 'admin' } as const;

beforeAll(async () => {
  database = await createDatabase();
  const path = join(home, 'deaf.sock');
  engine = createServer((socket) => sockets.add(socket)).listen(path);
  config = loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '6', DOCKER_HOST: `unix://${path}` });
  app = await createApp(config, database.url);
  await app.init();
  await rows(`insert into users (id, email, username, password_hash) values ($1, 'a@example.com', 'a', 'x')`, [user]);
  await rows(`insert into agent_type_needs (agent_type, host_labels) values ('demo-agent', '{container-engine}')`);
  const boards = await rows<{ id: string }>(`insert into boards (name, owner_id) values ('b', $1) returning id`, [
    user,
  ]);
  board_id = boards[0]?.id ?? '';
});

afterAll(async () => {
  await app.close();
  for (const socket of sockets) socket.destroy();
  engine.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  for (const table of ['agent_instances', 'runs', 'workspaces', 'agent_hosts', 'queue_keepers'])
    await rows(`delete from ${table}`);
});

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);

async function host(id: string, silent_seconds = 0, away_seconds: number | null = null): Promise<string> {
  await rows(
    `insert into agent_hosts (id, name, slots, memory_bytes, cpus, server_version, started_at, heartbeat_at, engine_away_since)
     values ($1, 'machine-1', 4, 0, 0, '1', now(), now() - make_interval(secs => $2), now() - make_interval(secs => $3))`,
    [id, silent_seconds, away_seconds],
  );
  return id;
}

async function task(): Promise<string> {
  const made = await rows<{ id: string }>(
    `insert into tasks (board_id, title, description, agent_type, created_by) values ($1, 't', 'd', 'demo-agent', $2)
     returning id`,
    [board_id, user],
  );
  return made[0]?.id ?? '';
}

/** A run of the task that this process holds. */
async function claimed(task_id: string, state: string): Promise<string> {
  const id = randomUUID();
  await rows(
    `insert into runs (id, task_id, board_id, agent_type, state, attempt, epoch, host_id, lease_owner, lease_expires_at)
     values ($1, $2, $3, 'demo-agent', $4, 1, 7, $5, $6, now() + interval '20 seconds')`,
    [id, task_id, board_id, state, config.host_id, LEASE_OWNER],
  );
  return id;
}

/** One of an earlier run of the task that was given up on a host. */
async function leftBehind(task_id: string, host_id: string): Promise<string> {
  const run = await claimed(task_id, 'CANCELLED');
  return agent(task_id, run, { status: 'LOST', left_behind: true, host_id });
}

async function agent(
  task_id: string,
  run_id: string,
  columns = { status: 'RUNNING', left_behind: false, host_id: config.host_id },
) {
  const made = await rows<{ id: string }>(
    `insert into agent_instances (task_id, board_id, run_id, attempt, epoch, host_id, agent_type, runtime, status, image_name, left_behind)
     values ($1, $2, $3, 1, 7, $4, 'demo-agent', 'docker', $5, 'kandev/demo-agent', $6) returning id`,
    [task_id, board_id, run_id, columns.host_id, columns.status, columns.left_behind],
  );
  return made[0]?.id ?? '';
}

const statusOf = (task_id: string) => app.get(QueryBus).execute(new GetRunStatusQuery(actor, task_id));
const instanceOf = (id: string) => app.get(MikroORM).em.fork().findOneOrFail(AgentInstance, { id });

describe('an engine that does not answer', () => {
  it('is what a run waits for that is to stop, with the host and since when', async () => {
    await host(config.host_id, 0, 60);
    const id = await task();
    await agent(id, await claimed(id, 'STOPPING'));
    const { waiting_for } = await statusOf(id);
    expect(waiting_for).toMatchObject({ reason: 'engine' });
    expect(waiting_for?.message).toMatch(/engine of the host machine-1 does not answer since \d{4}-.*stop by force/);
    await rows('update agent_hosts set engine_away_since = null');
    expect((await statusOf(id)).waiting_for).toBeNull();
  });

  it('keeps no run that is stopped by force: it ends after a while, and what there is of its agent stays ours', async () => {
    await host(config.host_id);
    const id = await task();
    const run = await claimed(id, 'STOPPING');
    const left = app.get(LeftAgents);
    const instance = await instanceOf(await agent(id, run));
    expect(await left.giveUp(instance)).toBe(false); // it has its time
    expect(await left.giveUp(instance, 0)).toBe(true);
    const after = await instanceOf(instance.id);
    expect(after).toMatchObject({ status: 'LOST', failure_code: 'agent.unreachable', left_behind: true });
    await app.get(RunSync).followAgent(run);
    expect((await statusOf(id)).run_state).toBe('CANCELLED');
    await rows(`insert into workspaces (task_id, board_id, host_id, state) values ($1, $2, $3, 'READY')`, [
      ...[id, board_id, config.host_id],
    ]);
    const again = app.get(WorkspaceRescuer).remove(id, { reason: 'requested', actor: SYSTEM, gives_up: true });
    await expect(again).rejects.toMatchObject({ code: 'run.live' });
  });
});

describe('an agent that was left behind', () => {
  const launch = (task_id: string, run: string) => {
    const about = { id: task_id, board_id, title: 't', description: 'd', repository_url: null, branch: null };
    const timeouts = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null };
    return app.get(CommandBus).execute(new LaunchAgentCommand(run, 1, 7, 'demo-agent', { ...about, ...timeouts }));
  };

  it.each([
    ['on this host', 'own', 3600, false],
    ['on one that lives', 'other', 5, false],
    ['on one that is dead', 'other', 31, true],
    ['on one that nobody knows any more', 'unknown', 0, true],
  ] as const)('%s and the next one of its task', async (_where, whose, silent, begins) => {
    const host_id = whose === 'own' ? config.host_id : randomUUID();
    if (whose !== 'unknown') await host(host_id, silent);
    const id = await task();
    await leftBehind(id, host_id);
    const launched = launch(id, await claimed(id, 'STARTING'));
    if (begins) await expect(launched).resolves.toMatchObject({ attempt: 1 });
    else await expect(launched).rejects.toMatchObject({ code: 'agent.left_behind' });
  });

  it('has the next run of its task go back into the queue, which says what it waits for, until it is gone', async () => {
    await host(config.host_id, 0, 60);
    const id = await task();
    const left = await leftBehind(id, config.host_id);
    const run = await claimed(id, 'STARTING');
    const held = await app.get(RunClaims).held(run);
    await app.get(RunDriver).drive(held!);
    const { run_state, attempt, waiting_for } = await statusOf(id);
    expect({ run_state, attempt, reason: waiting_for?.reason }).toEqual({
      run_state: 'QUEUED',
      attempt: 0,
      reason: 'agent_left',
    });
    expect(waiting_for?.message).toContain('on the host machine-1');
    const due = () => rows(`update runs set not_before = now() - interval '1 second' where id = $1`, [run]);
    const look = () => app.get(QueueUpkeep).unpark();
    await due();
    expect((await look()).unparked).toBe(0); // a claim in vain would cost its board its turn
    const [parked] = await rows<{ later: boolean }>('select not_before > now() as later from runs where id = $1', [
      run,
    ]);
    expect(parked).toEqual({ later: true });
    await rows(`update agent_hosts set heartbeat_at = now() - interval '31 seconds'`);
    await due();
    expect((await look()).unparked).toBe(1); // its host may be dead
    await rows('update agent_instances set left_behind = false where id = $1', [left]);
    await rows(
      `update runs set state = 'STARTING', attempt = 1, epoch = 7, not_before = null, parked_for = null where id = $1`,
      [run],
    );
    await expect(launch(id, run)).resolves.toMatchObject({ attempt: 1 });
  });
});

describe('the status', () => {
  const degraded = async () => {
    const uptime = vi.spyOn(process, 'uptime').mockReturnValue(60);
    const { status, degraded: sentences } = await app.get(QueryBus).execute(new GetOrchestratorStatusQuery());
    uptime.mockRestore();
    return { status, text: sentences.join(' ') };
  };

  it('tells of a deployment without a host that runs agents, and without anybody who looks after the queue', async () => {
    expect((await degraded()).status).toBe('stalled');
    expect((await degraded()).text).toMatch(/KANDEV_ROLE=runner.*KANDEV_ROLE=orchestrator/);
    await host(config.host_id);
    const noKeeper = await degraded();
    expect(noKeeper.status).toBe('stalled');
    expect(noKeeper.text).not.toContain('KANDEV_ROLE=runner');
    await app.get(QueueUpkeep).beat();
    expect(await degraded()).toMatchObject({ status: 'running' });
    expect((await degraded()).text).not.toContain('KANDEV_ROLE');
    await app.get(QueueUpkeep).leave();
    expect((await degraded()).text).toContain('KANDEV_ROLE=orchestrator');
  });

  it('of a queued run says so, where nothing else holds it up', async () => {
    const id = await task();
    const run = await claimed(id, 'STARTING');
    await rows(`update runs set state = 'QUEUED', host_id = null, lease_owner = null where id = $1`, [run]);
    expect((await statusOf(id)).waiting_for).toMatchObject({ reason: 'host', host: { problem: 'none_up' } });
    expect((await statusOf(id)).waiting_for?.message).toContain('KANDEV_ROLE=runner');
    await rows(`update runs set not_before = now() - interval '1 second', parked_for = 'back_off' where id = $1`, [
      run,
    ]);
    expect((await statusOf(id)).waiting_for?.message).toContain('KANDEV_ROLE=orchestrator');
    await app.get(QueueUpkeep).beat();
    expect((await statusOf(id)).waiting_for?.message).not.toContain('KANDEV_ROLE');
  });
});
