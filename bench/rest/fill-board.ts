import { v7 as uuidv7 } from 'uuid';
import type pg from 'pg';
import { seededRandom, weighted } from '../lib/random.js';
import { RARE_WORD, Texts } from './texts.js';

const BATCH = 10_000; // rows a statement: some 5 MB of parameters
const SEED = 20_261_123;
const RARE_TASKS = 20;
const EVENTS = 100;
/** When the first task was made; each next one follows 30 seconds later, so a million are a year of a busy company. */
const FIRST_MS = Date.UTC(2025, 0, 1);
const STEP_MS = 30_000;

const STATES = [
  ...([
    ['TODO', 40],
    ['IN_PROGRESS', 5],
    ['BLOCKED', 3],
  ] as const),
  ...([
    ['COMPLETED', 45],
    ['FAILED', 4],
    ['CANCELLED', 3],
  ] as const),
] as const;
const PRIORITIES = [
  [0, 40],
  [1, 5],
  [2, 5],
  [3, 5],
  [4, 5],
  [5, 20],
  [6, 5],
  [7, 5],
  [8, 4],
  [9, 3],
  [10, 3],
] as const;
/** Shipped with the server, so that tasks may name them. */
const AGENT_TYPES = [
  [null, 30],
  ['demo-agent', 40],
  ['auggie-cli', 20],
  ['gemini-agent', 10],
] as const;
const ARCHIVED_SHARE = 0.05;

/** Tells how many tasks are there. */
type Heard = (done: number) => void;

/**
 * Puts `count` tasks on the board, the same but for their ids whenever the count is the same, without the API: a million by requests would take
 * longer than everything that is measured. One task gets a history of 100 lines; returns its id.
 */
export async function fillBoard(
  db: pg.Pool,
  { board_id, user_id, count }: { board_id: string; user_id: string; count: number },
  heard: Heard = () => undefined,
): Promise<string> {
  const random = seededRandom(SEED);
  const texts = new Texts(random);
  const rareEvery = Math.max(1, Math.floor(count / RARE_TASKS));
  let last = '';
  for (let done = 0; done < count;) {
    const columns: unknown[][] = [[], [], [], [], [], [], [], []];
    for (const end = Math.min(count, done + BATCH); done < end; done++) {
      const msecs = FIRST_MS + done * STEP_MS;
      last = uuidv7({ msecs });
      const rare = done % rareEvery === 0 && done / rareEvery < RARE_TASKS ? ` ${RARE_WORD}` : '';
      const [state, priority, agent_type] = [
        weighted(random, STATES),
        weighted(random, PRIORITIES),
        weighted(random, AGENT_TYPES),
      ];
      const created_at = new Date(msecs).toISOString();
      const archived_at = random() < ARCHIVED_SHARE ? created_at : null;
      const row = [
        last,
        texts.title(),
        texts.description() + rare,
        state,
        priority,
        agent_type,
        created_at,
        archived_at,
      ];
      for (const [n, value] of row.entries()) columns[n]?.push(value);
    }
    await db.query(
      `insert into tasks (board_id, created_by, id, title, description, state, priority, agent_type, created_at, updated_at, archived_at)
       select $1, $2, id, title, description, state, priority, agent_type, at, at, archived_at
       from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[], $9::timestamptz[], $10::timestamptz[])
         as rows (id, title, description, state, priority, agent_type, at, archived_at)`,
      [board_id, user_id, ...columns],
    );
    heard(done);
  }
  await db.query(
    `insert into task_events (task_id, event_type, metadata, created_by, created_at)
     select $1, 'task.updated', jsonb_build_object('changes', jsonb_build_object('priority',
       jsonb_build_object('from', n % 10, 'to', (n + 1) % 10))), $2, now() + make_interval(secs => n)
     from generate_series(1, $3) n`,
    [last, user_id, EVENTS],
  );
  return last;
}

/**
 * Runs `work` while `tasks` has no indexes but its key and counts nothing, then builds both again: ten times as fast
 * for a million rows, and what is there afterwards is the same.
 */
export async function withoutIndexes(db: pg.Pool, work: () => Promise<void>): Promise<void> {
  const { rows } = await db.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
     where indrelid = 'tasks'::regclass and not indisunique`,
  );
  for (const { name } of rows) await db.query(`drop index ${name}`);
  await db.query('alter table tasks disable trigger user');
  await work();
  const session = await db.connect();
  try {
    await session.query(`set maintenance_work_mem = '1GB'`); // with the usual 64 MB the full-text index takes minutes
    for (const { definition } of rows) await session.query(definition);
    await session.query('reset all');
  } finally {
    session.release();
  }
  await db.query('alter table tasks enable trigger user');
  await db.query('delete from task_counts');
  await db.query(
    `insert into task_counts (board_id, state, priority, agent_type, archived, n, merged)
     select board_id, state, priority, agent_type, archived_at is not null, count(*), true from tasks group by 1, 2, 3, 4, 5`,
  );
}

/** Brings the database to rest: statistics are there, and what was written lies on the disk. */
export async function settle(db: pg.Pool): Promise<void> {
  await db.query('vacuum analyze');
  await db.query('checkpoint');
}
