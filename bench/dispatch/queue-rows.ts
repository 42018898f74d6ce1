import type pg from 'pg';
import { step } from '../lib/progress.js';

const HELD = `state in ('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`;
const BOARDS = 20;
const USERS = 40;
const TYPES = 5;
const BATCH = 100_000; // rows a statement: some seconds each
/** What agents of each type take, so that reservations are summed up as they are; no host below is ever full. */
const NEEDS = { memory_bytes: 512 * 1024 ** 2, cpus: 0.5 };

/** A host with memory and cores for everything. */
export async function addHost(db: pg.Pool, id: string, slots: number): Promise<void> {
  await db.query(
    `insert into agent_hosts (id, name, slots, memory_bytes, cpus, server_version, started_at, heartbeat_at)
     values ($1, 'bench', $2, 2 ^ 50, 100000, '1', now(), now())`,
    [id, slots],
  );
}

/**
 * Boards, users and agent types, on them queued runs and finished ones; and the same runs in `runs_raw`, which has the
 * columns, a key and the index that a bare queue needs.
 */
export async function fillQueue(
  db: pg.Pool,
  { queued, finished }: { queued: number; finished: number },
): Promise<void> {
  await db.query(`insert into users (email, username, password_hash)
    select 'u' || n || '@example.com', 'u' || n, 'x' from generate_series(1, ${USERS}) n`);
  await db.query(`insert into boards (name, owner_id)
    select 'Board ' || n, (select id from users limit 1) from generate_series(1, ${BOARDS}) n`);
  await db.query(`insert into agent_types (name, docker_image, default_resources)
    select 'type-' || n, 'none', '{}' from generate_series(0, ${TYPES - 1}) n`);
  await db.query(
    `insert into agent_type_needs (agent_type, memory_bytes, cpus) select 'type-' || n, $1, $2 from generate_series(0, ${TYPES - 1}) n`,
    [NEEDS.memory_bytes, NEEDS.cpus],
  );
  await db.query(`create table bench_places as
    select row_number() over () as n, b.id as board_id, u.id as user_id from boards b cross join users u`);
  const places = BOARDS * USERS;
  for (let done = 0; done < queued; done += BATCH) {
    await db.query(
      `insert into tasks (board_id, title, description, created_by)
       select board_id, 'Task', 'Waits.', user_id from generate_series($1::int, $2::int) i
       join bench_places p on p.n = 1 + i % ${places}`,
      [done, Math.min(queued, done + BATCH) - 1],
    );
  }
  step(`${queued} tasks are there`);
  await db.query(
    `insert into runs (id, task_id, board_id, agent_type, priority, requested_by, queued_at)
     select uuidv7(), id, board_id, 'type-' || n % ${TYPES}, n % 11, created_by, now() - make_interval(secs => (n % 3600)::int)
     from (select *, row_number() over () as n from tasks) tasks`,
  );
  step(`${queued} runs are queued`);
  for (let done = 0; done < finished; done += BATCH) {
    await db.query(
      `insert into runs (id, task_id, board_id, agent_type, priority, requested_by, state, attempt, epoch, host_id,
         queued_at, started_at, finished_at)
       select uuidv7(), id, board_id, 'type-' || i % ${TYPES}, i % 11, created_by, 'COMPLETED', 1, 1, $3,
         at, at + interval '1 s', at + interval '1 min'
       from (select i, now() - make_interval(secs => i * 10) as at from generate_series($1::int, $2::int) i) times
       join (select *, row_number() over () - 1 as n from tasks) tasks on tasks.n = i % $4::int`,
      [done, Math.min(finished, done + BATCH) - 1, crypto.randomUUID(), queued],
    );
    step(`${Math.min(finished, done + BATCH)} runs have finished`);
  }
  await db.query(`create table runs_raw (like runs including defaults)`);
  await db.query(`insert into runs_raw select * from runs`);
  await db.query(`alter table runs_raw add primary key (id)`);
  await db.query(`create index on runs_raw (priority desc, queued_at, id) where state = 'QUEUED'`);
  await db.query(`vacuum analyze`); // as autovacuum leaves a table that has grown
}

/** What is held has ended, and as many of the same kind are queued anew. */
export async function completeHeld(db: pg.Pool, table: 'runs' | 'runs_raw'): Promise<void> {
  await db.query(
    `with ended as (
       update ${table} set state = 'COMPLETED', finished_at = now(), lease_owner = null, lease_expires_at = null,
         version = version + 1
       where ${HELD} returning task_id, board_id, agent_type, priority, requested_by
     )
     insert into ${table} (id, task_id, board_id, agent_type, priority, requested_by)
     select uuidv7(), task_id, board_id, agent_type, priority, requested_by from ended`,
  );
}
