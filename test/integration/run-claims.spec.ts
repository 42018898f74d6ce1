import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/common/config/config.js';
import { LEASE_OWNER } from '../../src/modules/orchestrator/app/run-rows.js';
import { RunClaims } from '../../src/modules/orchestrator/app/run-claims.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';

const HOST = crypto.randomUUID();
const CONFIG = { host_id: HOST, orchestrator: { host_lost_seconds: 60 } } as Config;
const OTHER_HOST = crypto.randomUUID();

let database: TestDatabase;
let claims: RunClaims;

beforeAll(async () => {
  database = await openTestDatabase();
  claims = new RunClaims(database.transactions, CONFIG);
});

afterAll(() => database.close());

beforeEach(async () => {
  await query(
    database.url,
    'truncate runs, board_shares, user_shares, run_limits, agent_type_needs, agent_hosts cascade',
  );
  await host();
  await needs('demo-agent');
});

/** A host; this one, with room for everything, unless said otherwise. */
async function host(columns: Record<string, unknown> = {}): Promise<void> {
  const offer = { name: 'here', slots: 1000, memory_bytes: 2 ** 40, cpus: 1000, server_version: '1' };
  const times = { started_at: new Date(), heartbeat_at: new Date() };
  await insert('agent_hosts', { id: HOST, ...offer, ...times, ...columns });
}

/** What agents of a type take. */
async function needs(agent_type: string, columns: Record<string, unknown> = {}): Promise<void> {
  const type = `insert into agent_types (name, docker_image, default_resources) values ($1, 'none', '{}') on conflict do nothing`;
  await query(database.url, type, [agent_type]);
  await insert('agent_type_needs', { agent_type, ...columns });
}

async function insert(table: string, row: Record<string, unknown>): Promise<void> {
  const names = Object.keys(row);
  const places = names.map((_, index) => `$${index + 1}`);
  const values = Object.values(row);
  await query(database.url, `insert into ${table} (${names.join(', ')}) values (${places.join(', ')})`, values);
}

/** Queues a run; columns may be given. */
async function queue(columns: Record<string, unknown> = {}): Promise<string> {
  const row = { id: crypto.randomUUID(), ...(await database.task()), agent_type: 'demo-agent', ...columns };
  await insert('runs', row);
  return row.id;
}

describe('claiming', () => {
  it('gives each run to one claimer, however many ask at once', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, () => queue()));
    const claimed = await Promise.all(Array.from({ length: 50 }, () => claims.claimNext()));
    const got = claimed.filter((run) => run !== undefined);
    expect(got.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(got.every(({ epoch, attempt, state }) => epoch === 1 && attempt === 1 && state === 'STARTING')).toBe(true);
    expect(await query(database.url, `select id from runs where state = 'STARTING'`)).toHaveLength(30);
  });

  it('serves the higher priority first, and the longer wait among equals', async () => {
    const late = await queue({ priority: 5, queued_at: '2026-01-01T10:00:02Z' });
    const low = await queue({ priority: 1, queued_at: '2026-01-01T09:59:00Z' });
    const early = await queue({ priority: 5, queued_at: '2026-01-01T10:00:01Z' });
    const order = [
      await claims.claimNext(),
      await claims.claimNext(),
      await claims.claimNext(),
      await claims.claimNext(),
    ];
    expect(order.map((run) => run?.id)).toEqual([early, late, low, undefined]);
  });

  it('passes by what waits for other tasks', async () => {
    const waits = await queue({ priority: 10, waits_for_tasks: true });
    const free = await queue({ priority: 0 });
    expect([await claims.claimNext(), await claims.claimNext()].map((run) => run?.id)).toEqual([free, undefined]);
    await query(database.url, 'update runs set waits_for_tasks = false where id = $1', [waits]);
    expect((await claims.claimNext())?.id).toBe(waits);
  });
});

describe('a host', () => {
  it('takes what it has all labels for', async () => {
    await query(database.url, `update agent_hosts set labels = '{gpu,zone=eu}'`);
    await needs('gpu-agent', { host_labels: ['gpu', 'zone=eu'] });
    await needs('arm-agent', { host_labels: ['gpu', 'arm64'] });
    const [gpu] = [await queue({ agent_type: 'gpu-agent' }), await queue({ agent_type: 'arm-agent' })];
    expect([await claims.claimNext(), await claims.claimNext()].map((run) => run?.id)).toEqual([gpu, undefined]);
  });

  it('takes what it has memory and cores for, and notes them; a type that wants more than all of it gets all of it', async () => {
    await query(database.url, 'update agent_hosts set memory_bytes = 100, cpus = 4');
    await needs('third', { memory_bytes: 40, cpus: 1 });
    await needs('whole', { memory_bytes: 1000, cpus: 64 });
    for (const agent_type of ['third', 'third', 'third']) await queue({ agent_type });
    const taken = [await claims.claimNext(), await claims.claimNext(), await claims.claimNext()];
    expect(taken.map((run) => run !== undefined)).toEqual([true, true, false]);
    await query(database.url, `update runs set state = 'COMPLETED'`);
    const whole = await queue({ agent_type: 'whole' });
    expect((await claims.claimNext())?.id).toBe(whole);
    const reserved = 'select reserved_memory_bytes::int as memory, reserved_cpus as cpus from runs where id = $1';
    expect(await query(database.url, reserved, [whole])).toEqual([{ memory: 100, cpus: 4 }]);
    await queue({ agent_type: 'third' });
    expect(await claims.claimNext()).toBeUndefined();
  });

  it('takes nothing while it drains, beyond its slots, or without a row', async () => {
    for (let at = 0; at < 3; at++) await queue();
    await query(database.url, 'update agent_hosts set draining = true');
    expect(await claims.claimNext()).toBeUndefined();
    await query(database.url, 'update agent_hosts set draining = false, slots = 1');
    expect(await claims.claimNext()).toBeDefined();
    expect(await claims.claimNext()).toBeUndefined();
    await insert('run_limits', { scope: 'host', subject: '*', max_running: 0 });
    await insert('run_limits', { scope: 'host', subject: HOST, max_running: 2 }); // its own comes before that of all
    expect(await claims.claimNext()).toBeDefined();
    expect(await claims.claimNext()).toBeUndefined();
    const unknown = new RunClaims(database.transactions, { host_id: OTHER_HOST } as Config);
    expect(await unknown.claimNext()).toBeUndefined();
  });

  it('never takes more than its slots, whichever of its processes asks', async () => {
    await query(database.url, 'update agent_hosts set slots = 5');
    for (let at = 0; at < 10; at++) await queue();
    const other = new RunClaims(await database.apart(), CONFIG);
    const asked = Array.from({ length: 20 }, (_, at) => (at % 2 ? claims : other).claimNext());
    expect((await Promise.all(asked)).filter((run) => run !== undefined)).toHaveLength(5);
  });
});

describe('leases', () => {
  const held = { state: 'RUNNING', attempt: 1, epoch: 7, host_id: HOST };
  const future = '2099-01-01T00:00:00Z';
  const past = '2020-01-01T00:00:00Z';

  it('are extended for what this process holds, and for nothing else', async () => {
    await queue();
    const mine = await claims.claimNext();
    await queue({ ...held, lease_owner: crypto.randomUUID(), lease_expires_at: future });
    expect((await claims.heartbeat()).map(({ id }) => id)).toEqual([mine?.id]);
  });

  it('that have run out are taken over with a higher epoch; others of this host are left, those of other hosts too', async () => {
    const expired = await queue({ ...held, lease_owner: crypto.randomUUID(), lease_expires_at: past });
    const handedBack = await queue({ ...held, lease_owner: null });
    await queue({ ...held, lease_owner: crypto.randomUUID(), lease_expires_at: future });
    await queue({ ...held, host_id: OTHER_HOST, lease_owner: null });
    await queue({ ...held, state: 'COMPLETED', lease_owner: null });
    const taken = await claims.takeOver('expired');
    expect(taken.map(({ id }) => id).toSorted()).toEqual([expired, handedBack].toSorted());
    expect(taken.map(({ epoch }) => epoch)).toEqual([8, 8]);
    expect(await claims.takeOver('expired')).toEqual([]);
  });

  it('of the server before are all taken over at a start, and handed back at an end', async () => {
    await queue({ ...held, lease_owner: crypto.randomUUID(), lease_expires_at: future });
    expect(await claims.takeOver('all')).toHaveLength(1);
    expect(await claims.takeOver('all')).toEqual([]); // what is ours already stays as it is
    await claims.releaseAll();
    expect(await claims.heartbeat()).toEqual([]);
  });
});

describe('a heartbeat', () => {
  it.each([
    ['there is no other', null, [], [], false],
    ['another one lives', 5, [], [], true],
    ['it has not what the agent type asks for', 5, ['more'], ['gpu'], false],
    ['it has that', 5, ['more', 'gpu'], ['gpu'], true],
    ['it is dead', 61, [], [], false],
  ] as const)('says whether another host could take a run: %s', async (_why, silent, labels, host_labels, expected) => {
    await query(database.url, 'update agent_type_needs set host_labels = $1', [host_labels]);
    if (silent !== null) await host({ id: OTHER_HOST, labels, heartbeat_at: new Date(Date.now() - silent * 1000) });
    await queue({ state: 'RUNNING', attempt: 1, epoch: 7, host_id: HOST, lease_owner: LEASE_OWNER });
    const [held] = await claims.heartbeat();
    expect(held?.has_other_host).toBe(expected);
  });
});
