import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QueryBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { SYSTEM } from '../../src/common/auth/actor.js';
import { loadConfig, type Config } from '../../src/common/config/config.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { GetQueueQuery, type QueuedRun } from '../../src/modules/orchestrator/app/queue.queries.js';
import { RunClaims } from '../../src/modules/orchestrator/app/run-claims.js';
import { WaitReasons } from '../../src/modules/orchestrator/app/wait-reasons.js';
import { createDatabase } from '../support/database.js';
import { QueueRows } from '../support/queue-rows.js';

/** The application without its background loops: runs are claimed when a test says so. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let rows: QueueRows;
let users: string[];
let boards: string[];
const TYPES = ['demo-agent', 'large', 'labelled'];
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));

beforeAll(async () => {
  database = await createDatabase();
  app = await createApp(loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '6' }), database.url);
  await app.init();
  rows = await QueueRows.open(database.url);
  users = [await rows.user(), await rows.user(), await rows.user()];
  boards = [];
  for (const user of users) boards.push(await rows.board(user), await rows.board(user));
});

afterAll(async () => {
  await rows.close();
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(() => rows.clear());

const queue = async (limit = 200, offset = 0): Promise<QueuedRun[]> =>
  (await app.get(QueryBus).execute(new GetQueueQuery(SYSTEM, limit, offset))).items;
const claimerOf = (host_id: string): RunClaims => new RunClaims(app.get(Transactions), { host_id } as Config);

/** Whole numbers below a bound, the same ones for the same seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Runs of random boards, users, priorities and times, on boards and of users with random weights. */
async function fill(random: (below: number) => number, types: readonly string[], runs: number): Promise<void> {
  for (const [scope, subjects] of [
    ['board', boards],
    ['user', users],
  ] as const) {
    for (const subject of subjects) {
      if (random(2) === 0) await rows.limit(scope, subject, { weight: 1 + random(10) });
    }
  }
  const begin = Date.now() - 1_800_000;
  for (let index = 0; index < runs; index++) {
    const board_id = boards[random(boards.length)]!;
    const requested_by = random(8) === 0 ? null : users[random(users.length)]!;
    const task_id = await rows.task(board_id, users[0]!);
    const queued_at = new Date(begin + random(3_600) * 500);
    const agent_type = types[random(types.length)]!;
    await rows.run({ task_id, board_id, requested_by }, { agent_type, priority: random(11), queued_at });
  }
}

describe('the queue', () => {
  const seed = Date.now() % 1_000_000;

  it(`shows the runs in the order in which they are claimed (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const host = await rows.host();
    for (const type of TYPES) await rows.needs(type);
    await fill(random, TYPES, 40);
    // As after a while of service: some were served more than others, and some could not be for long.
    await rows.query(`update board_shares set pass = 10 * random(), turn_pass = 5 * random()`);
    await rows.query(`update user_shares set pass = 10 * random(), turn_pass = 5 * random()`);
    const foreseen = await queue();
    expect(foreseen.map(({ position }) => position)).toEqual(foreseen.map((_, index) => index + 1));
    const paged = [...(await queue(15)), ...(await queue(15, 15)), ...(await queue(15, 30))];
    expect(paged.map(({ run_id }) => run_id)).toEqual(foreseen.map(({ run_id }) => run_id));
    const claims = claimerOf(host);
    const reasons = app.get(WaitReasons);
    for (const [index, { run_id }] of foreseen.entries()) {
      if (index % 10 === 0) {
        expect((await queue())[0]?.run_id).toBe(run_id);
        const [last] = await rows.query<never>(`select * from runs where id = $1`, [foreseen.at(-1)?.run_id]);
        expect((await reasons.ofQueued(last!)).position).toBe(foreseen.length - index);
      }
      expect((await claims.claimNext())?.id, `seed ${seed}: at position ${index + 1}`).toBe(run_id);
    }
    expect(await claims.claimNext()).toBeUndefined();
    expect(await queue()).toEqual([]);
  });

  it(`says of a run that it waits for its turn if, and only if, a host would take it (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 5; round++) {
      await rows.clear();
      await rows.needs('demo-agent', { memory_bytes: 100, cpus: 0.5 });
      await rows.needs('large', { memory_bytes: 100 * (1 + random(8)), cpus: 1 + random(3) });
      await rows.needs('labelled', { host_labels: ['gpu'] });
      await fill(random, TYPES, 12);
      const hosts: string[] = [];
      for (let index = 0; index < 1 + random(3); index++) {
        const labels = random(2) === 0 ? ['gpu', 'zone=eu'] : [];
        const size = { slots: 1 + random(4), memory_bytes: 300 + random(500), cpus: 2 + random(3) };
        hosts.push(await rows.host({ labels, draining: random(5) === 0, ...size }));
      }
      const subjects = { server: '*', host: hosts[0]!, user: users[0]!, agent_type: 'demo-agent' };
      for (const [scope, subject] of Object.entries(subjects)) {
        if (random(3) === 0) {
          const values = [scope, random(2) === 0 ? '*' : subject, random(5)];
          await rows.query(
            `insert into run_limits (scope, subject, max_running) values ($1, $2, $3)
             on conflict (scope, subject) do update set max_running = excluded.max_running`,
            values,
          );
        }
      }
      for (;;) {
        const waiting = await queue();
        const turn = waiting.filter(({ waiting_for }) => waiting_for.reason === 'queue').map(({ run_id }) => run_id);
        let claimed: string | undefined;
        for (const host of hosts) claimed ??= (await claimerOf(host).claimNext())?.id;
        const told = `seed ${seed}, round ${round}: ${JSON.stringify(waiting.map(({ waiting_for }) => waiting_for))}`;
        if (claimed === undefined) expect(turn, told).toEqual([]);
        else expect(turn, told).toContain(claimed);
        if (claimed === undefined) break;
      }
    }
  });
});
