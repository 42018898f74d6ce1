import pg from 'pg';
import { isClean, sumOf, type Damage } from '../../support/damage.js';
import type { ExpectedLines } from '../../support/line-checker.js';
import { fillerOf, RollingHash, type Plan } from '../../support/numbered-agent.js';
import { StreamChecker, type CheckedMessage } from '../../support/stream-checker.js';
import type { TestUser } from '../../support/test-user.js';
import { until } from '../../support/until.js';
import type { Follower } from './follower.js';
import { query } from './world.js';

const PAGE = 5_000;
const HEARD_LIMIT_MS = 300_000; // a client has caught up by then, on the slowest machine

/** What a scenario has found. */
export interface Tally {
  /** Lines that the agents say they have written. */
  written: number;
  /** Messages in the database. */
  persisted: number;
  /** Messages that all clients together were given. */
  delivered: number;
  damage: Damage;
  /** What was done to them, in a few words. */
  note: string;
}

/** A run of a numbered agent with the clients that follow it. */
export interface Numbered {
  task_id: string;
  plan: Plan;
  expected: ExpectedLines;
  followers: Follower[];
}

/** How a run has to end. */
export interface Ending {
  state?: 'COMPLETED' | 'FAILED';
  failure_code?: string;
  limitMs?: number;
  /** Of an agent that is ended and can't say what it wrote: how many whole lines have to be there at least. */
  atLeast?: number;
}

/** What a verdict needs: somebody who may see the runs, and the database past whatever the server has in its way. */
export interface Court {
  admin: TestUser;
  database: string;
}

/** The last `seq` that is stored of a task; 0 for none. */
export async function headOf(database: string, taskId: string): Promise<number> {
  const sql = 'select head_seq::float8 as head from task_streams where task_id = $1';
  return (await query<{ head: number }>(database, sql, [taskId]))[0]?.head ?? 0;
}

/** Waits for the end of a run and of its stream, and compares what was written, is stored, and was delivered. */
export async function judgeStream({ admin, database }: Court, numbered: Numbered, ending: Ending): Promise<Tally> {
  const { task_id, expected, followers } = numbered;
  const { state = 'COMPLETED', failure_code = null, limitMs = 300_000 } = ending;
  const ended = await admin.untilRun(task_id, undefined, limitMs);
  if (ended.run_state !== state || ended.failure_code !== failure_code)
    throw new Error(`the run has ended ${ended.run_state}: ${ended.failure_code} ${ended.failure_message}`);
  await admin.untilTask(task_id, [state]); // the last message of a stream comes before
  const head = await headOf(database, task_id);
  const stored = await persisted(database, expected);
  const inMidLine = ending.atLeast !== undefined;
  const written = inMidLine ? Math.max(ending.atLeast ?? 0, stored.highestLine) : await saidWritten(database, numbered);
  const damages = [stored.finish(written, head, inMidLine)];
  const found: unknown[] = isClean(damages[0]!) ? [] : [{ in: 'the database', ...damages[0] }];
  for (const follower of followers) {
    await until('a client to catch up', () => follower.checker.head >= head, HEARD_LIMIT_MS).catch(() => undefined);
    follower.close();
    const damage = follower.checker.finish(written, head, inMidLine);
    if (isClean(damage) && follower.checker.digest() !== stored.digest()) damage.torn++; // not a byte may differ
    damages.push(damage);
    const { face, oddities, connections } = follower;
    const told = { head, has: follower.checker.head, connections, oddities: oddities.slice(0, 3) };
    if (!isClean(damage)) found.push({ in: face, ...damage, ...told });
  }
  const delivered = followers.reduce((total, { checker }) => total + checker.messages, 0);
  return {
    written: linesOf(numbered.plan, written),
    persisted: stored.messages,
    delivered,
    damage: sumOf(damages),
    note: found.map((one) => JSON.stringify(one)).join(' '),
  };
}

/** What is stored of a task, in order. */
async function persisted(database: string, expected: ExpectedLines): Promise<StreamChecker> {
  const checker = new StreamChecker(expected);
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  try {
    for (let after = 0, full = true; full;) {
      const { rows } = await client.query<CheckedMessage & { seq: number }>(
        `select seq::float8 as seq, type, task_id, data from acp_messages
         where task_id = $1 and seq > $2 order by seq limit ${PAGE}`,
        [expected.task_id, after],
      );
      for (const row of rows) checker.take(row);
      after = rows.at(-1)?.seq ?? after;
      full = rows.length === PAGE;
    }
  } finally {
    await client.end();
  }
  return checker;
}

/** The lines that the agent says it has written; its hash over them has to be that of the plan. */
async function saidWritten(database: string, { task_id, plan }: Numbered): Promise<number> {
  const sql = `select data ->> 'summary' as summary from acp_messages where task_id = $1 and type = 'result'`;
  const results = await query<{ summary: string }>(database, sql, [task_id]);
  if (results.length !== 1) throw new Error(`the agent has ${results.length} results`);
  const [count, hash] = results[0]!.summary.split(' ');
  const written = Number(count);
  if (new RollingHash(plan, task_id, written).digest() !== hash) throw new Error('the agent wrote something else');
  return written;
}

/** Numbered lines and what was written between them. */
function linesOf(plan: Plan, numbered: number): number {
  if (!plan.fillers) return numbered;
  let lines = numbered;
  for (let n = 1; n <= numbered; n++) lines += fillerOf(plan, n)?.times ?? 0;
  return lines;
}
