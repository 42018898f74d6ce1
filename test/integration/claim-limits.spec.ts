import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { QueryBus } from '@nestjs/cqrs';
import type { Config } from '../../src/common/config/config.js';
import type { AgentNeeds } from '../../src/modules/agent/contracts/agent.queries.js';
import { QueueUpkeep } from '../../src/modules/orchestrator/app/queue-upkeep.js';
import { RunClaims } from '../../src/modules/orchestrator/app/run-claims.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';
import { QueueRows } from '../support/queue-rows.js';

let database: TestDatabase;
let rows: QueueRows;
let users: string[];
let boards: string[];
let hosts: RunClaims[];
let upkeep: QueueUpkeep;
let types: AgentNeeds[];

beforeAll(async () => {
  database = await openTestDatabase();
  rows = await QueueRows.open(database.url);
  users = [await rows.user(), await rows.user()];
  boards = [await rows.board(users[0]!), await rows.board(users[0]!)];
  const queries = { execute: () => Promise.resolve(types) } as unknown as QueryBus;
  upkeep = new QueueUpkeep(database.transactions, queries);
});

afterAll(async () => {
  await rows.close();
  await database.close();
});

beforeEach(async () => {
  await rows.clear();
  await rows.needs('demo-agent');
  await rows.needs('other-agent');
  hosts = [];
  for (let at = 0; at < 4; at++) {
    const config = { host_id: await rows.host() } as Config;
    hosts.push(new RunClaims(database.transactions, config));
  }
});

async function queue(columns: Record<string, unknown> = {}, board = boards[0]!, user = users[0]!): Promise<string> {
  return rows.run({ task_id: await rows.task(board, user), board_id: board, requested_by: user }, columns);
}

async function queueSome(): Promise<void> {
  for (const board of boards)
    for (const user of users) {
      for (const agent_type of ['demo-agent', 'demo-agent', 'other-agent', 'other-agent'])
        await queue({ agent_type }, board, user);
    }
}

/** All hosts claim beside each other until there is nothing for them. */
async function claimAll(): Promise<number> {
  const claimed = await Promise.all(
    hosts.map(async (host) => {
      let count = 0;
      while (await host.claimNext()) count++;
      return count;
    }),
  );
  return claimed.reduce((sum, count) => sum + count, 0);
}

describe('limits that hosts share', () => {
  it.each([
    { scope: 'server', limits: { '*': 3 }, most: 3 },
    { scope: 'board', limits: { '*': 3 }, most: 6 },
    { scope: 'board', limits: { '*': 0, own: 5 }, most: 5 },
    { scope: 'user', limits: { '*': 2, own: 1 }, most: 3 },
    { scope: 'user', limits: { '*': 0 }, most: 0 },
    { scope: 'agent_type', limits: { '*': 4, own: null }, most: 12 },
    { scope: 'agent_type', limits: { own: 0 }, most: 8 },
  ])('are kept and used up: $scope $limits', async ({ scope, limits, most }) => {
    const own = { server: '*', board: boards[0]!, user: users[0]!, agent_type: 'demo-agent' }[scope]!;
    for (const [subject, max_running] of Object.entries(limits)) {
      await rows.limit(scope, subject === 'own' ? own : subject, { max_running });
    }
    await queueSome();
    expect(await claimAll()).toBe(most);
    await rows.query('delete from run_limits');
    expect(await claimAll()).toBe(16 - most);
  });

  it('hold from the moment they are set, while hosts claim', async () => {
    await queueSome();
    const claiming = claimAll();
    await rows.limit('server', '*', { max_running: 5 });
    const held = () => rows.query<{ count: number }>(`select count(*)::int from runs where state = 'STARTING'`);
    const [then] = await held();
    await claiming;
    const [end] = await held();
    expect(end!.count).toBe(Math.max(5, then!.count));
  });
});

describe('what is claimable', () => {
  it('is found by whoever asks next, while runs are queued, parked, let go and put to rest', async () => {
    const writers = await Promise.all([0, 1, 2].map(() => QueueRows.open(database.url)));
    const queuing = Promise.all(
      writers.map(async (writer, which) => {
        for (let at = 0; at < 20; at++) {
          const [board_id, user] = [boards[(at + which) % 2]!, users[at % 2]!];
          const of = { task_id: await writer.task(board_id, user), board_id, requested_by: user };
          const id = await writer.run(of, { waits_for_tasks: at % 3 === 0 });
          if (at % 3 === 0) await writer.query('update runs set waits_for_tasks = false where id = $1', [id]);
        }
        await writer.close();
      }),
    );
    let claimed = 0;
    let missed = 0;
    const aligning = async () => {
      for (let round = 0; round < 15; round++) missed += await upkeep.alignShares();
      return 0;
    };
    const claiming = async () => {
      let count = 0;
      for (let round = 0; round < 8; round++) count += await claimAll();
      return count;
    };
    for (const count of await Promise.all([claiming(), aligning()])) claimed += count;
    await queuing;
    claimed += await claimAll();
    expect([claimed, missed]).toEqual([60, 0]);
  });

  it('is put right where shares are missing or rest though they should not', async () => {
    await queueSome();
    await rows.query('delete from board_shares where board_id = $1', [boards[0]]);
    await rows.query('update user_shares set waiting = false where board_id = $1', [boards[1]]);
    expect(await claimAll()).toBe(0);
    expect(await upkeep.alignShares()).toBe(3);
    expect(await claimAll()).toBe(16);
    expect(await upkeep.alignShares()).toBe(0);
    const waiting =
      'select count(*)::int from board_shares where waiting union all select count(*)::int from user_shares where waiting';
    expect(await rows.query(waiting)).toEqual([{ count: 0 }, { count: 0 }]);
  });

  it('stays so when who has asked for it is deleted', async () => {
    const leaver = await rows.user();
    const id = await queue();
    await rows.query('update runs set requested_by = $1 where id = $2', [leaver, id]);
    await rows.query('delete from users where id = $1', [leaver]);
    expect((await hosts[0]!.claimNext())?.id).toBe(id);
  });

  it('is what is parked, from its time on', async () => {
    const due = await queue({ not_before: new Date(Date.now() - 1000), parked_for: 'back_off' });
    await queue({ not_before: new Date(Date.now() + 60_000), parked_for: 'retry_after' });
    expect(await claimAll()).toBe(0);
    const { unparked, next_ms } = await upkeep.unpark();
    expect(unparked).toBe(1);
    expect(next_ms).toBeGreaterThan(50_000);
    expect((await hosts[0]!.claimNext())?.id).toBe(due);
    expect(await claimAll()).toBe(0);
  });

  it('follows what agents of its type take', async () => {
    const type = { agent_type: 'demo-agent', memory_bytes: 1, cpus: 1, host_labels: ['gpu'] };
    types = [type];
    await upkeep.copyNeeds();
    await queue();
    expect(await claimAll()).toBe(0);
    types = [{ ...type, host_labels: [] }];
    await upkeep.copyNeeds();
    expect(await claimAll()).toBe(1);
  });
});
