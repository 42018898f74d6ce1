import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { loadConfig, type Config } from '../../src/common/config/config.js';
import { PROCESS_ID } from '../../src/common/ops/process-id.js';
import { Workers } from '../../src/common/ops/workers.js';
import { Fenced } from '../../src/modules/agent/app/agent-rows.js';
import { InstanceJournal } from '../../src/modules/agent/app/instance-journal.js';
import { WorkspaceRecords } from '../../src/modules/agent/app/workspace-records.js';
import { LaunchAgentCommand } from '../../src/modules/agent/contracts/agent.commands.js';
import { LostHosts } from '../../src/modules/orchestrator/app/lost-hosts.js';
import { LostRuns } from '../../src/modules/orchestrator/app/lost-runs.js';
import { ThisHost } from '../../src/modules/orchestrator/app/this-host.js';
import { createDatabase, query } from '../support/database.js';
import { until } from '../support/until.js';

/** The whole application without its background loops. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let config: Config;
let board_id: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));
const user = randomUUID();

beforeAll(async () => {
  database = await createDatabase();
  config = loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '6' });
  app = await createApp(config, database.url);
  await app.init();
  await rows(`insert into users (id, email, username, password_hash) values ($1, 'a@example.com', 'a', 'x')`, [user]);
  const [board] = await rows<{ id: string }>(`insert into boards (name, owner_id) values ('b', $1) returning id`, [
    user,
  ]);
  board_id = board?.id ?? '';
});

afterAll(async () => {
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  await rows('delete from agent_instances');
  await rows('delete from runs');
  await rows('delete from agent_hosts');
  await rows('delete from workspaces');
});

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);

/** A host that was last heard of so many seconds ago. */
async function host(silent_seconds: number, columns: { id?: string; served_by?: string | null } = {}): Promise<string> {
  const { id = randomUUID(), served_by = null } = columns;
  await rows(
    `insert into agent_hosts (id, name, slots, memory_bytes, cpus, server_version, started_at, heartbeat_at, served_by)
     values ($1, 'far-away', 4, 0, 0, '1', now(), now() - make_interval(secs => $2), $3)`,
    [id, silent_seconds, served_by],
  );
  return id;
}

const heard = (id: string) => rows('update agent_hosts set heartbeat_at = now() where id = $1', [id]);

/** A run that the host holds in its first attempt, with an agent that runs there or without one. */
async function held(host_id: string, state: string, { launched = true, lease = 20 } = {}) {
  const [task] = await rows<{ id: string }>(
    `insert into tasks (board_id, title, description, agent_type, created_by) values ($1, 't', 'd', 'demo-agent', $2)
     returning id`,
    [board_id, user],
  );
  const task_id = task?.id ?? '';
  const run_id = randomUUID();
  await rows(
    `insert into runs (id, task_id, board_id, agent_type, state, attempt, epoch, host_id, lease_owner, lease_expires_at)
     values ($1, $2, $3, 'demo-agent', $4, 1, 7, $5, gen_random_uuid(), now() + make_interval(secs => $6))`,
    [run_id, task_id, board_id, state, host_id, lease],
  );
  if (launched) {
    await rows(
      `insert into agent_instances (task_id, board_id, run_id, attempt, epoch, host_id, agent_type, runtime, status, image_name)
       values ($1, $2, $3, 1, 7, $4, 'demo-agent', 'docker', 'RUNNING', 'kandev/demo-agent')`,
      [task_id, board_id, run_id, host_id],
    );
  }
  return { run_id, task_id };
}

async function runOf(run_id: string) {
  const [run] = await rows<{ state: string; epoch: number; lease_owner: string | null }>(
    'select state, epoch, lease_owner from runs where id = $1',
    [run_id],
  );
  return run;
}

async function agentOf(run_id: string) {
  const [agent] = await rows<{ id: string; status: string; epoch: number; failure_code: string | null }>(
    'select id, status, epoch, failure_code from agent_instances where run_id = $1 and attempt = 1',
    [run_id],
  );
  return agent;
}

describe('the process that serves a host', () => {
  const serverOf = async () =>
    (await rows<{ served_by: string | null }>('select served_by from agent_hosts where id = $1', [config.host_id]))[0]
      ?.served_by;
  let here: ThisHost;

  beforeEach(async () => {
    here = app.get(ThisHost);
    await here.leave();
  });

  /** Another process of this home, as PostgreSQL sees it. */
  async function other(silent_seconds: number): Promise<{ id: string; end(): Promise<void> }> {
    const id = randomUUID();
    const client = new pg.Client({ connectionString: database.url, application_name: `kandev-1.${id}` });
    await client.connect();
    await host(silent_seconds, { id: config.host_id, served_by: id });
    return { id, end: () => client.end() };
  }

  it('says with each heartbeat that it does, and leaves the host at its end', async () => {
    expect([await here.heartbeat(), await here.heartbeat()]).toEqual(['taken', 'kept']);
    expect(await serverOf()).toBe(PROCESS_ID);
    expect(here.isServed).toBe(true);
    await here.leave();
    expect([here.isServed, await serverOf()]).toEqual([false, null]);
  });

  it('is one: a second one waits until the first has gone', async () => {
    const first = await other(1);
    expect([await here.heartbeat(), await here.heartbeat()]).toEqual(['elsewhere', 'elsewhere']);
    expect([here.isServed, await serverOf()]).toEqual([false, first.id]);
    await first.end();
    await until('its session to be gone', async () => (await here.heartbeat()) === 'taken');
    expect(await serverOf()).toBe(PROCESS_ID);
  });

  it('is another one when it was frozen for longer than a lease, and learns that when it wakes', async () => {
    const frozen = await other(21);
    expect(await here.heartbeat()).toBe('taken');
    // Now we are the one that was frozen, and the other one has the host.
    await rows('update agent_hosts set served_by = $1', [frozen.id]);
    await rows(`update agent_hosts set heartbeat_at = now() - interval '1 hour'`);
    expect(await here.heartbeat()).toBe('elsewhere');
    await frozen.end();
  });
});

describe('a workspace that a host was removing', () => {
  const checkout = (task_id: string) => {
    return { task_id, board_id, repository_url: null, branch: null, work_branch: 'kandev/x', requested_by: null };
  };

  async function removing(host_id: string): Promise<string> {
    const { task_id } = await held(host_id, 'RUNNING', { launched: false });
    await rows(`insert into workspaces (task_id, board_id, host_id, state) values ($1, $2, $3, 'REMOVING')`, [
      ...[task_id, board_id, host_id],
    ]);
    return task_id;
  }

  it('is waited for as long as the host lives', async () => {
    const task = await removing(await host(50));
    const begun = app.get(WorkspaceRecords).preparing(checkout(task));
    await expect(begun).rejects.toMatchObject({ code: 'workspace.disk_unavailable' });
  });

  it.each(['down', 'removed'])('is let go when the host is %s', async (how) => {
    const dead = await host(61);
    const task = await removing(dead);
    if (how === 'removed') await rows('delete from agent_hosts where id = $1', [dead]);
    const begun = await app.get(WorkspaceRecords).preparing(checkout(task));
    expect(begun).toMatchObject({ state: 'PREPARING', host_id: config.host_id });
  });
});

describe('a host that is dead', () => {
  let lost: LostRuns;

  const silent = async () => (await lost.hosts()).filter(({ is_silent }) => is_silent).map(({ host_id }) => host_id);

  beforeEach(() => {
    lost = app.get(LostRuns);
  });

  it('is one that is silent for long enough and has runs, never our own', async () => {
    const dead = await host(61);
    await host(61);
    const living = await host(50);
    await host(3600, { id: config.host_id });
    for (const id of [dead, living, config.host_id]) await held(id, 'RUNNING');
    // Hosts without a row: their leases tell.
    const forgotten = randomUUID();
    await held(forgotten, 'RUNNING', { lease: -61 });
    await held(randomUUID(), 'RUNNING', { lease: -40 });
    expect((await silent()).toSorted()).toEqual([dead, forgotten].toSorted());
  });

  it('loses its agents: nothing that it still writes is taken', async () => {
    const dead = await host(61);
    const { run_id } = await held(dead, 'RUNNING');
    await lost.endAll(dead);
    const agent = await agentOf(run_id);
    expect(agent).toMatchObject({ status: 'LOST', epoch: 8, failure_code: 'agent.lost' });
    const run = await runOf(run_id);
    expect(run).toMatchObject({ lease_owner: null });
    expect(['FAILED', 'QUEUED']).toContain(run?.state);
    await expect(app.get(InstanceJournal).read({ agent_id: agent!.id, epoch: 7 })).rejects.toThrow(Fenced);
    await lost.endAll(dead);
    expect(await runOf(run_id)).toEqual(run);
  });

  it('can launch nothing any more that it had claimed', async () => {
    const dead = await host(61);
    const { run_id, task_id } = await held(dead, 'STARTING', { launched: false });
    await lost.endAll(dead);
    expect(await agentOf(run_id)).toMatchObject({ status: 'LOST', epoch: 8 });
    const task = { id: task_id, board_id, title: 't', description: 'd', repository_url: null, branch: null };
    const timeouts = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null };
    const launch = new LaunchAgentCommand(run_id, 1, 7, 'demo-agent', { ...task, ...timeouts });
    await expect(app.get(CommandBus).execute(launch)).rejects.toMatchObject({ code: 'run.fenced' });
  });

  it('has what was being stopped there end as cancelled', async () => {
    const dead = await host(61);
    const [launched, claimed] = [await held(dead, 'STOPPING'), await held(dead, 'STOPPING', { launched: false })];
    await lost.endAll(dead);
    for (const { run_id } of [launched, claimed]) expect(await runOf(run_id)).toMatchObject({ state: 'CANCELLED' });
  });

  it('that is heard of again just then keeps all it has', async () => {
    const id = await host(61);
    const { run_id } = await held(id, 'RUNNING');
    expect(await silent()).toEqual([id]);
    await heard(id);
    await lost.endAll(id);
    expect(await runOf(run_id)).toMatchObject({ state: 'RUNNING', epoch: 7 });
    expect(await agentOf(run_id)).toMatchObject({ status: 'RUNNING', epoch: 7 });
  });

  it('was seen silent for a while, without a gap: a database that comes back makes nobody dead', async () => {
    const hosts = new LostHosts(lost, new Workers());
    const id = await host(3600);
    await held(id, 'RUNNING');
    expect([await hosts.look(0), await hosts.look(8_000), await hosts.look(14_999)]).toEqual([[], [], []]);
    expect(await hosts.look(15_000)).toEqual([id]);
    // We were away ourselves.
    expect(await hosts.look(40_000)).toEqual([]);
    expect(await hosts.look(49_000)).toEqual([]);
    await heard(id);
    expect(await hosts.look(55_000)).toEqual([]);
    await rows(`update agent_hosts set heartbeat_at = now() - interval '1 hour'`);
    expect(await hosts.look(60_000)).toEqual([]);
  });

  it('was silent by the clock of who looks, too: PostgreSQL may have been set an hour forward', async () => {
    const hosts = new LostHosts(lost, new Workers());
    const id = await host(100);
    await held(id, 'RUNNING');
    await hosts.look(0);
    await rows(`update agent_hosts set heartbeat_at = now() - interval '99 seconds'`); // it lives, an hour ago
    const dead: number[] = [];
    for (let now = 5_000; now <= 90_000; now += 5_000) if ((await hosts.look(now)).length > 0) dead.push(now);
    expect(dead).toEqual([80_000, 85_000, 90_000]); // 60 s after it was seen to live, and the time to be watched
  });
});
