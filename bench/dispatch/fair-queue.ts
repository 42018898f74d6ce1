/** One host that claims and completes rows, with the server's own claim and upkeep, while boards queue. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MikroORM } from '@mikro-orm/postgresql';
import type { QueryBus } from '@nestjs/cqrs';
import pg from 'pg';
import type * as MigrationsModule from '../../migrations/index.js';
import type { Config } from '../../src/common/config/config.js';
import type * as OrmModule from '../../src/common/persistence/orm.js';
import type * as TransactionsModule from '../../src/common/persistence/transactions.js';
import type * as UpkeepModule from '../../src/modules/orchestrator/app/queue-upkeep.js';
import type * as ClaimsModule from '../../src/modules/orchestrator/app/run-claims.js';
import { Build } from '../lib/build.js';
import { answerQuestions } from '../lib/child-script.js';
import { seededRandom } from '../lib/random.js';
import { addBoard, addOwner, queueRuns } from './board-rows.js';
import { addHost } from './queue-rows.js';

export type FairQuestion =
  | { ask: 'open'; dist: string; database_url: string }
  | { ask: 'play'; flood: number; others: number; places: number; work_ms: number };

/** One run of a board that does not flood. */
export interface Wait {
  /** Claims of others between its being queued and its own. */
  claims: number;
  /** How many that may be. */
  bound: number;
  ms: number;
}
/** What all of them had; the longest time from an agent's claim to its row's end, and the longest claim. */
export interface FairAnswer {
  waits: Wait[];
  work_ms: number;
  claim_ms: number;
}

const UPKEEP_MS = 5_000; // the server's own
const PAUSE_MS = 400; // a board queues its next one up to so long after the last one was claimed
/** What the order by shares promises: of each other board that waits, no more than this comes first. */
const TURNS_BEFORE = 1;
/** The claim that has not seen the run yet. */
const UNDER_WAY = 1;
const SEED = 20_261_126;
const TYPE = 'short';

interface Waiting {
  board: string;
  /** When its row was there, by `performance.now()`; what was claimed before does not count. */
  queued: number | undefined;
  claims: number;
  /** Boards that had something queued at some time meanwhile. */
  boards: Set<string>;
}

let database: pg.Pool;
let claims: ClaimsModule.RunClaims;
let upkeep: UpkeepModule.QueueUpkeep;

answerQuestions(async (question: FairQuestion) => (question.ask === 'open' ? open(question) : play(question)));

async function open({ dist, database_url }: FairQuestion & { ask: 'open' }): Promise<void> {
  const build = Build.at(dist);
  const { ormOptions, migrate } = await build.import<typeof OrmModule>('src/common/persistence/orm');
  const { migrations } = await build.import<typeof MigrationsModule>('migrations/index');
  const persistence = await build.import<typeof TransactionsModule>('src/common/persistence/transactions');
  const app = 'src/modules/orchestrator/app';
  const { RunClaims } = await build.import<typeof ClaimsModule>(`${app}/run-claims`);
  const { QueueUpkeep } = await build.import<typeof UpkeepModule>(`${app}/queue-upkeep`);
  const orm = await MikroORM.init(
    ormOptions(database_url, [], migrations, 4, { discovery: { warnWhenNoEntities: false } }),
  );
  await migrate(orm);
  const transactions = new persistence.Transactions(orm);
  const host_id = crypto.randomUUID();
  claims = new RunClaims(transactions, { host_id } as Config);
  upkeep = new QueueUpkeep(transactions, {} as QueryBus);
  database = new pg.Pool({ connectionString: database_url, max: 8, application_name: 'bench' });
  await addOwner(database, TYPE);
  await addHost(database, host_id, 1_000);
}

async function play({ flood, others, places, work_ms }: FairQuestion & { ask: 'play' }): Promise<FairAnswer> {
  const boards = await Promise.all(Array.from({ length: others + 1 }, (_, n) => addBoard(database, n)));
  const [flooded = '', ...rest] = boards;
  const ids = Array.from({ length: flood }, () => crypto.randomUUID());
  await queueRuns(database, { board_id: flooded, ids, agent_type: TYPE, priority: 10 });
  const random = seededRandom(SEED);
  const answer: FairAnswer = { waits: [], work_ms: 0, claim_ms: 0 };
  const waiting = new Map<string, Waiting>();
  const working = new Set<Promise<void>>();
  let claimed = 0;
  let align = performance.now() + UPKEEP_MS;
  const isOver = (): boolean => claimed >= flood;

  async function queueOthers(id: string): Promise<void> {
    while (!isOver()) {
      await sleep(random() * PAUSE_MS);
      if (isOver()) return;
      const run = crypto.randomUUID();
      const now: Waiting = { board: id, queued: undefined, claims: 0, boards: new Set([flooded]) };
      for (const other of waiting.values()) {
        other.boards.add(id);
        now.boards.add(other.board);
      }
      waiting.set(run, now);
      await queueRuns(database, { board_id: id, ids: [run], agent_type: TYPE, priority: 0 });
      now.queued = performance.now();
      while (waiting.has(run) && !isOver()) await sleep(1);
    }
  }

  async function work(id: string, began: number): Promise<void> {
    await sleep(work_ms);
    await database.query(`update runs set state = 'COMPLETED', finished_at = now(), lease_owner = null where id = $1`, [
      id,
    ]);
    answer.work_ms = Math.max(answer.work_ms, performance.now() - began);
  }

  const queuers = rest.map(queueOthers);
  // As the server's dispatcher: one claim after the other while a place is free.
  while (!isOver()) {
    if (performance.now() > align) await upkeep.alignShares();
    if (performance.now() > align) align += UPKEEP_MS;
    while (working.size >= places) await Promise.race(working);
    const began = performance.now();
    const run = await claims.claimNext();
    answer.claim_ms = Math.max(answer.claim_ms, performance.now() - began);
    if (!run) continue;
    claimed++;
    const own = waiting.get(run.id);
    waiting.delete(run.id);
    if (own) answer.waits.push(waitOf(own));
    for (const other of waiting.values()) if (other.queued !== undefined) other.claims++;
    const task = work(run.id, began).finally(() => working.delete(task));
    working.add(task);
  }
  await Promise.all([...working, ...queuers]);
  await database.query('truncate runs cascade');
  return answer;
}

function waitOf({ claims: before, boards, queued }: Waiting): Wait {
  const ms = queued === undefined ? 0 : performance.now() - queued;
  return { claims: before, bound: boards.size * TURNS_BEFORE + UNDER_WAY, ms };
}
