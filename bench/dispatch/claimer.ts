/** A host that claims, in a process of its own: by the server's own statement, or by a bare one in the same PostgreSQL. */
import { randomUUID } from 'node:crypto';
import { MikroORM } from '@mikro-orm/postgresql';
import type * as MigrationsModule from '../../migrations/index.js';
import type { Config } from '../../src/common/config/config.js';
import type * as OrmModule from '../../src/common/persistence/orm.js';
import type * as TransactionsModule from '../../src/common/persistence/transactions.js';
import type * as ClaimsModule from '../../src/modules/orchestrator/app/run-claims.js';
import { Build } from '../lib/build.js';
import { answerQuestions } from '../lib/child-script.js';

export type Side = 'bare' | 'kandev';

/** What it is asked: to connect as this host, bringing the schema up to date; to claim; to close its connections. */
export type ClaimerQuestion =
  | { ask: 'open'; dist: string; database_url: string; host_id: string }
  | { ask: 'claim'; side: Side; count: number }
  | { ask: 'close' };

/** When it began and ended, by the machine's monotonic clock in ms; ms of each claim. */
export interface Claimed {
  began: number;
  ended: number;
  ms: number[];
  /** How often it was told that there is nothing, though there was. */
  empty: number;
}

const LEASE_SECONDS = 20; // the server's own
const EMPTY_LIMIT = 1_000; // more than this in a row is no race
/** What a queue by priority needs, and no more. The columns that it sets and returns are the server's. */
const BARE = `update runs_raw set state = 'STARTING', host_id = $1::uuid, lease_owner = $2::uuid,
    lease_expires_at = now() + make_interval(secs => $3::int), updated_at = now(), claimed_at = now(),
    epoch = epoch + 1, attempt = attempt + 1, version = version + 1
  where id = (
    select id from runs_raw where state = 'QUEUED' order by priority desc, queued_at, id limit 1
    for update skip locked
  )
  returning id, task_id, agent_type, repository_url, branch, state, attempt, epoch, requested_by, stop_reason, stop_force`;

let orm: MikroORM | undefined;
let claim: Record<Side, () => Promise<unknown>>;

answerQuestions(async (question: ClaimerQuestion) => {
  if (question.ask === 'open') return open(question);
  if (question.ask === 'close') return orm?.close();
  return claimMany(question);
});

async function open({ dist, database_url, host_id }: ClaimerQuestion & { ask: 'open' }): Promise<void> {
  const build = Build.at(dist);
  const common = 'src/common/persistence';
  const { ormOptions, migrate } = await build.import<typeof OrmModule>(`${common}/orm`);
  const { migrations } = await build.import<typeof MigrationsModule>('migrations/index');
  const { Transactions } = await build.import<typeof TransactionsModule>(`${common}/transactions`);
  const { RunClaims } = await build.import<typeof ClaimsModule>('src/modules/orchestrator/app/run-claims');
  // A claimer asks one thing at a time; migrations take a second connection.
  const options = ormOptions(database_url, [], migrations, 2, { discovery: { warnWhenNoEntities: false } });
  orm = await MikroORM.init(options);
  await migrate(orm);
  const transactions = new Transactions(orm);
  const claims = new RunClaims(transactions, { host_id } as Config);
  const pool = await orm.em.getConnection().getNativeClient();
  const values = [host_id, randomUUID(), LEASE_SECONDS];
  claim = {
    kandev: () => claims.claimNext(),
    bare: async () => (await pool.query<object>({ name: 'bare_claim', text: BARE, values })).rows[0],
  };
}

async function claimMany({ side, count }: ClaimerQuestion & { ask: 'claim' }): Promise<Claimed> {
  const ms: number[] = [];
  let empty = 0;
  const began = now();
  for (let done = 0, before = began; done < count; done++) {
    for (let asked = 0; (await claim[side]()) === undefined; empty++)
      if (++asked > EMPTY_LIMIT) throw new Error(`nothing is claimed (${side})`);
    const after = now();
    ms.push(after - before);
    before = after;
  }
  return { began, ended: now(), ms, empty };
}

/** The same for every process of the machine. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
