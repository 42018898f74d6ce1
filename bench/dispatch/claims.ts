import { ChildScript } from '../lib/child-script.js';
import { step } from '../lib/progress.js';
import { median, percentile, sum } from '../lib/statistics.js';
import { figure } from '../lib/table.js';
import { World } from '../lib/world.js';
import type { Claimed, ClaimerQuestion, Side } from './claimer.js';
import type { DispatchOptions, DispatchResult } from './part.js';
import { addHost, completeHeld, fillQueue } from './queue-rows.js';

const ROUNDS = 5;
const CLAIMS = 1_000; // of a round: seconds
const HISTORY = 1_000_000;
const SHORT_QUEUE = 1_000;
/** Runs that are held before they end, all of them at once: as many as a few busy hosts have. */
const HELD = 100;
const WARM_UP = 200; // claims: until V8 has compiled, and PostgreSQL has planned for good
const WORKERS = [1, 8];
const SIDES = ['bare', 'kandev'] as const;
const AIMS = { bare: 0.7, history: 1.5 };

interface Round {
  /** Claims a second. */
  rate: number;
  p99: number;
  /** Answers that there is nothing, though there was, for each claim. */
  empty: number;
}
interface Case {
  database: string;
  about: string;
  workers: number;
  /** There is a limit that hosts share. */
  limited: boolean;
}

/** Claims a second by the server's statement and by a bare one, in turn. */
export async function runClaims(options: DispatchOptions): Promise<DispatchResult> {
  const { build, rounds = ROUNDS, size = CLAIMS, history = HISTORY } = options;
  const world = await World.open(build);
  const databases = [
    { database: 'short', queued: SHORT_QUEUE, finished: 0 },
    { database: 'long', queued: Math.ceil(history / 10), finished: history },
  ];
  const claimers = new Map<string, ChildScript[]>();
  try {
    for (const { database, queued, finished } of databases) {
      await world.database('postgres').query(`create database ${database}`);
      claimers.set(database, await open(world, database, { queued, finished }));
    }
    const cases = databases.flatMap(({ database, queued, finished }): Case[] =>
      [false, ...(database === 'short' ? [true] : [])].flatMap((limited) =>
        WORKERS.map((workers) => ({ database, workers, limited, about: `${queued} queued, ${finished} finished` })),
      ),
    );
    const found = new Map(cases.map((each) => [each, { bare: [] as Round[], kandev: [] as Round[] }]));
    const play = (each: Case, side: Side, count: number): Promise<Round> =>
      claim(world, (claimers.get(each.database) ?? []).slice(0, each.workers), { ...each, side, count });
    for (const each of cases) for (const side of SIDES) await play(each, side, WARM_UP);
    for (let round = 1; round <= rounds; round++) {
      for (const [each, sides] of found) {
        for (const side of round % 2 ? SIDES : SIDES.toReversed()) sides[side].push(await play(each, side, size));
        const last = SIDES.map((side) => `${side} ${figure(sides[side].at(-1)?.rate ?? 0)}`).join(', ');
        const which = `${each.database}, ${each.workers} hosts${each.limited ? ', limited' : ''}`;
        step(`claims: round ${round} of ${rounds}: ${which}: ${last} a second`);
      }
    }
    return report(found);
  } finally {
    for (const script of [...claimers.values()].flat()) await script.stop();
    await world.close();
  }
}

async function open(
  world: World,
  database: string,
  rows: { queued: number; finished: number },
): Promise<ChildScript[]> {
  const scripts = Array.from({ length: Math.max(...WORKERS) }, () => ChildScript.start('dispatch/claimer.ts'));
  const opening = { ask: 'open', dist: world.build.directory, database_url: world.databaseUrl(database) } as const;
  const db = world.database(database);
  for (const script of scripts) {
    const host_id = crypto.randomUUID();
    await script.ask({ ...opening, host_id } satisfies ClaimerQuestion); // the first one brings the schema
    await addHost(db, host_id, HELD);
  }
  step(`claims: filling the database "${database}"`);
  await fillQueue(db, rows);
  return scripts;
}

async function claim(
  world: World,
  scripts: readonly ChildScript[],
  { database, limited, side, count }: Case & { side: Side; count: number },
): Promise<Round> {
  const db = world.database(database);
  await db.query('delete from run_limits');
  if (limited) await db.query(`insert into run_limits (scope, subject, max_running) values ('server', '*', 1000000)`);
  const each = Math.floor(HELD / scripts.length);
  const question: ClaimerQuestion = { ask: 'claim', side, count: each };
  const ms: number[] = [];
  let took = 0;
  let empty = 0;
  while (ms.length < count) {
    const claimed = await Promise.all(scripts.map((script) => script.ask<Claimed>(question)));
    took += Math.max(...claimed.map(({ ended }) => ended)) - Math.min(...claimed.map(({ began }) => began));
    ms.push(...claimed.flatMap((one) => one.ms));
    empty += sum(claimed.map((one) => one.empty));
    await completeHeld(db, side === 'bare' ? 'runs_raw' : 'runs');
  }
  return {
    rate: (ms.length / took) * 1000,
    p99: percentile(ms, 0.99),

    empty: empty / ms.length,
  };
}

function report(found: Map<Case, Record<Side, Round[]>>): DispatchResult {
  const of = (sides: Record<Side, Round[]> | undefined, side: Side, key: keyof Round): number =>
    median((sides?.[side] ?? []).map((round) => round[key]));
  let met = true;
  const judge = (ratio: number, isMet: boolean): string => {
    met &&= isMet;
    return `**${figure(ratio)}** ${isMet ? 'PASS' : 'MISS'}`;
  };
  const rows = [...found].map(([{ database, about, workers, limited }, sides]) => {
    const rate = of(sides, 'kandev', 'rate');
    const ratio = rate / of(sides, 'bare', 'rate');
    const short = [...found].find(
      ([other]) => other.database === 'short' && other.workers === workers && !other.limited,
    );
    const slower = of(short?.[1], 'kandev', 'rate') / rate;
    return {
      runs: limited ? `${about}; a limit for the whole server` : about,
      hosts: workers,
      'bare, claims/s': of(sides, 'bare', 'rate'),
      'Kandev, claims/s': rate,
      [`Kandev / bare ≥ ${AIMS.bare}`]:
        database === 'short' && !limited ? judge(ratio, ratio >= AIMS.bare) : `**${figure(ratio)}**`,
      [`short / this ≤ ${AIMS.history}`]: database === 'long' ? judge(slower, slower <= AIMS.history) : '',
      'p99 ms, bare': of(sides, 'bare', 'p99'),
      'p99 ms, Kandev': of(sides, 'kandev', 'p99'),
      'told "nothing" wrongly, %': of(sides, 'kandev', 'empty') * 100,
    };
  });
  return { title: 'Claims', rows, met };
}
