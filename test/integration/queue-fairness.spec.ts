import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { QueryBus } from '@nestjs/cqrs';
import type { Config } from '../../src/common/config/config.js';
import { FindLeftAgentsHandler } from '../../src/modules/agent/app/left-agents.query.js';
import type { FindLeftAgentsQuery } from '../../src/modules/agent/contracts/agent.queries.js';
import { QueueUpkeep } from '../../src/modules/orchestrator/app/queue-upkeep.js';
import { RunClaims } from '../../src/modules/orchestrator/app/run-claims.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';
import { QueueRows } from '../support/queue-rows.js';

const SEED = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 1e6));
const GIB = 2 ** 30;

let database: TestDatabase;
let rows: QueueRows;
let users: string[];
let boards: string[];
let claims: RunClaims;

beforeAll(async () => {
  database = await openTestDatabase();
  rows = await QueueRows.open(database.url);
  users = [await rows.user(), await rows.user(), await rows.user()];
});

afterAll(async () => {
  await rows.close();
  await database.close();
});

beforeEach(async () => {
  await rows.clear();
  boards = [];
  for (let at = 0; at < 4; at++) boards.push(await rows.board(users[0]!));
  await rows.needs('demo-agent');
  claims = claimsOf(await rows.host({ slots: 100_000 }));
});

function claimsOf(host_id: string): RunClaims {
  return new RunClaims(database.transactions, { host_id } as Config);
}

interface Queued {
  id: string;
  board_id: string;
  requested_by: string;
  priority: number;
  /** Milliseconds since 1970, as is its rank. */
  queued_at: number;
  rank: number;
}

/** Queues runs, `ago_s` seconds ago each. */
async function queue(
  board_id: string,
  runs: readonly { user?: string; priority?: number; ago_s?: number; agent_type?: string }[],
): Promise<Queued[]> {
  const given = runs.map(({ user = users[0]!, priority = 0, ago_s = 0, agent_type = 'demo-agent' }) => {
    return { id: crypto.randomUUID(), task_id: crypto.randomUUID(), board_id, user, priority, ago_s, agent_type };
  });
  const from = `from jsonb_to_recordset($1) as given
    (id uuid, task_id uuid, board_id uuid, "user" uuid, priority integer, ago_s integer, agent_type text)`;
  await rows.query(
    `insert into tasks (id, board_id, created_by, title, description)
     select task_id, board_id, "user", 't', 'd' ${from}`,
    [JSON.stringify(given)],
  );
  return rows.query<Queued>(
    `insert into runs (id, task_id, board_id, requested_by, agent_type, priority, queued_at)
     select id, task_id, board_id, "user", agent_type, priority, now() - make_interval(secs => ago_s) ${from}
     returning id, board_id, requested_by, priority, (extract(epoch from queued_at) * 1000)::float8 as queued_at,
       (extract(epoch from rank_at) * 1000)::float8 as rank`,
    [JSON.stringify(given)],
  );
}

const many = <T>(count: number, run: T): T[] => Array.from({ length: count }, () => run);

/** The board of the run that is claimed next, as its place among {@link boards}; undefined where nothing is. */
async function served(): Promise<number | undefined> {
  const run = await claims.claimNext();
  if (!run) return undefined;
  const [of] = await rows.query<{ board_id: string }>('select board_id from runs where id = $1', [run.id]);
  return boards.indexOf(of!.board_id);
}

async function servedTimes(count: number): Promise<(number | undefined)[]> {
  const order: (number | undefined)[] = [];
  for (let at = 0; at < count; at++) order.push(await served());
  return order;
}

/** Numbers below `limit`, the same for the same seed (mulberry32). */
function dice(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.trunc((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

describe('a board that waits', () => {
  it('serves of equals who had a turn longer ago, whatever their ids are', async () => {
    const [low, high] = [0, 1].toSorted((a, b) => (boards[a]! < boards[b]! ? -1 : 1)) as [number, number];
    await queue(boards[high]!, [{}]);
    await queue(boards[low]!, [{}]);
    for (let round = 0; round < 3; round++) {
      expect([await served(), await served()]).toEqual([high, low]);
      await queue(boards[low]!, [{}]);
      await queue(boards[high]!, [{}]);
    }
  });

  it('loses no turn by a run that waits for an agent that was left behind', async () => {
    const host_id = await rows.host({ slots: 1 });
    claims = claimsOf(host_id);
    const [stuck] = await queue(boards[0]!, [{ ago_s: 3600 }]);
    await rows.query(`update runs set not_before = now(), parked_for = 'agent_left' where id = $1`, [stuck!.id]);
    await rows.query(
      `insert into agent_instances (task_id, board_id, run_id, attempt, epoch, host_id, agent_type, runtime, status, image_name, left_behind)
       select task_id, board_id, id, 1, 1, $1, agent_type, 'docker', 'LOST', 'none', true from runs where id = $2`,
      [host_id, stuck!.id],
    );
    for (const board of boards.slice(0, 2)) await queue(board, many(10, { ago_s: 60 }));
    const queries = { execute: (query: FindLeftAgentsQuery) => left.execute(query) } as unknown as QueryBus;
    const left = new FindLeftAgentsHandler(database.transactions);
    const upkeep = new QueueUpkeep(database.transactions, queries);
    const times = [0, 0];
    for (let turn = 0; turn < 12; turn++) {
      await rows.query(`update runs set not_before = now() where parked_for = 'agent_left'`); // seconds later
      await upkeep.unpark();
      times[(await served())!]!++;
      await rows.query(`update runs set state = 'COMPLETED' where state = 'STARTING'`);
    }
    expect(times).toEqual([6, 6]);
  });

  it(`is passed by at most as often as its weight says, whatever comes and goes (seed ${SEED})`, async () => {
    const roll = dice(SEED);
    const weights = boards.map(() => 1 + roll(5));
    for (const [at, id] of boards.entries()) await rows.limit('board', id, { weight: weights[at] });
    const waiting = new Map<string, Queued>();
    /** Claims of others since the board's last, or since it began to wait. */
    const passed = boards.map(() => 0);
    const has = (board: number) => [...waiting.values()].some(({ board_id }) => board_id === boards[board]);
    for (let step = 0; step < 260; step++) {
      if (roll(3) === 0) {
        const board = roll(4);
        if (!has(board)) passed[board] = 0;
        const runs = many(1 + roll(4), null).map(() => {
          return { user: users[roll(3)]!, priority: roll(11), ago_s: roll(1200) };
        });
        for (const run of await queue(boards[board]!, runs)) waiting.set(run.id, run);
        continue;
      }
      const claimed = await claims.claimNext();
      if (waiting.size === 0) expect(claimed).toBeUndefined();
      if (waiting.size === 0) continue;
      const run = waiting.get(claimed!.id)!;
      waiting.delete(run.id);
      const board = boards.indexOf(run.board_id);
      for (const [at] of boards.entries()) if (at !== board && has(at)) passed[at]! += 1;
      const others = weights.filter((_, at) => at !== board);
      const bound = others.reduce((sum, weight) => sum + Math.floor(weight / weights[board]!) + 1, 0);
      expect(passed[board], `step ${step}`).toBeLessThanOrEqual(bound);
      passed[board] = 0;
      for (const other of waiting.values()) {
        if (other.board_id !== run.board_id || other.requested_by !== run.requested_by) continue;
        expect(other.rank > run.rank || (other.rank === run.rank && other.id > run.id), `step ${step}`).toBe(true);
        expect(run.queued_at - other.queued_at).toBeLessThanOrEqual((10 - other.priority) * 60_000);
      }
    }
  });

  it('gets its weight, never more than a claim ahead of it', async () => {
    const weights = [1, 2, 5, 1];
    for (const [at, id] of boards.entries()) {
      await rows.limit('board', id, { weight: weights[at] });
      await queue(id, many(50, {}));
    }
    const had = [0, 0, 0, 0];
    for (const [at, board] of (await servedTimes(72)).entries()) {
      had[board!]! += 1;
      for (const [each, weight] of weights.entries()) {
        const ahead = 9 * had[each]! - (at + 1) * weight; // in ninths of a claim: the weights are nine together
        expect(ahead).toBeLessThanOrEqual(9);
        expect(ahead).toBeGreaterThanOrEqual(-3 * weight); // a ninth of its weight for each of the others
      }
    }
    expect(had).toEqual([8, 16, 40, 8]);
  });

  it('is next but one while another one floods the queue with the highest priority', async () => {
    await queue(boards[0]!, many(200, { priority: 10, ago_s: 600 }));
    await servedTimes(20);
    await queue(boards[1]!, [{ priority: 0 }]);
    expect(await servedTimes(2)).toContain(1);
  });

  it('has saved nothing up while it rested or was held back', async () => {
    for (const board of [0, 1]) await queue(boards[board]!, many(40, {}));
    await rows.limit('board', boards[1]!, { max_running: 0 });
    expect(await servedTimes(20)).toEqual(many(20, 0));
    await rows.query('delete from run_limits');
    await queue(boards[2]!, many(10, {})); // has never had anything
    const order = await servedTimes(15);
    for (const board of [0, 1, 2]) {
      const had = order.filter((each) => each === board).length;
      expect(Math.abs(had - 5), `board ${board}`).toBeLessThanOrEqual(1);
    }
  });

  it('shares between its users, of whom one floods it', async () => {
    await queue(boards[0]!, many(50, { priority: 10, user: users[0]! }));
    await queue(boards[0]!, many(5, { user: users[1]! }));
    const askers: (string | null)[] = [];
    for (let at = 0; at < 10; at++) askers.push((await claims.claimNext())!.requested_by);
    expect(askers.filter((user) => user === users[1])).toHaveLength(5);
  });
});

describe('what is large', () => {
  let host: string;

  beforeEach(async () => {
    await rows.needs('large', { memory_bytes: 3 * GIB });
    await rows.needs('small', { memory_bytes: GIB });
    await rows.query('delete from agent_hosts');
    host = await rows.host({ memory_bytes: 4 * GIB });
    claims = claimsOf(host);
    await queue(boards[1]!, many(2, { agent_type: 'small' }));
    await servedTimes(2);
  });

  const end = () =>
    rows.query(`update runs set state = 'COMPLETED' where id = (select id from runs where state = 'STARTING' limit 1)`);

  it('gets its room after ten minutes, though small ones would fill each gap; what takes no memory goes on', async () => {
    await queue(boards[0]!, [{ agent_type: 'large', ago_s: 601 }]);
    await queue(boards[1]!, many(5, { agent_type: 'small' }));
    expect(await served()).toBeUndefined();
    await queue(boards[2]!, [{}]);
    expect(await served()).toBe(2);
    await end();
    await end();
    await end();
    expect(await served()).toBe(0);
  });

  it('is not waited for before, nor where a limit holds it back anyway, nor by two hosts', async () => {
    await queue(boards[0]!, [{ agent_type: 'large', ago_s: 500 }]);
    await queue(boards[1]!, many(9, { agent_type: 'small' }));
    expect(await served()).toBe(1);
    await rows.query(`update runs set queued_at = now() - interval '11 minutes' where agent_type = 'large'`);
    expect(await served()).toBeUndefined();
    await rows.query(`update runs set requested_by = $1 where agent_type = 'small'`, [users[1]]);
    const limits = { board: boards[0]!, user: users[0]!, agent_type: 'large' };
    for (const [scope, subject] of Object.entries(limits)) {
      await rows.limit(scope, subject, { max_running: 0 });
      expect(await served(), scope).toBe(1);
      await end();
      await rows.query('delete from run_limits');
      expect(await served(), scope).toBeUndefined();
    }
    const other = claimsOf(await rows.host({ memory_bytes: 4 * GIB }));
    await rows.query(
      `insert into runs (id, task_id, board_id, agent_type, state, host_id, reserved_memory_bytes)
       select gen_random_uuid(), id, board_id, 'small', 'RUNNING', (select id from agent_hosts where id <> $1), $2
       from tasks where not exists (select from runs where task_id = tasks.id) limit 1`,
      [host, 2 * GIB],
    );
    const taken = [await claims.claimNext(), await other.claimNext()].filter((run) => run !== undefined);
    expect(taken.map(({ agent_type }) => agent_type)).toEqual(['small']);
  });
});
