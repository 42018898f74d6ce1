import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Housekeeping } from '../../src/common/ops/housekeeping.js';
import { TaskCountMerger } from '../../src/modules/task/app/merge-task-counts.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';

const CONNECTIONS = 4;
/** Where sums and real counts differ, in one statement: at one moment. */
const DIFFERENCES = `
  select * from (
    select board_id, state, priority, coalesce(agent_type, '') as agent_type, archived, sum(n)::int as counted
    from task_counts group by 1, 2, 3, 4, 5 having sum(n) <> 0
  ) c full join (
    select board_id, state, priority, coalesce(agent_type, '') as agent_type, archived_at is not null as archived,
      count(*)::int as there
    from tasks group by 1, 2, 3, 4, 5
  ) t using (board_id, state, priority, agent_type, archived) where counted is distinct from there`;

let database: TestDatabase;
let merger: TaskCountMerger;
let clients: pg.Client[];
let user: string;

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);

beforeAll(async () => {
  database = await openTestDatabase();
  merger = new TaskCountMerger(database.transactions, {} as Housekeeping);
  clients = Array.from({ length: CONNECTIONS }, () => new pg.Client({ connectionString: database.url }));
  await Promise.all(clients.map((client) => client.connect()));
  user = (await rows<{ id: string }>('select id from users'))[0]?.id ?? '';
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await database.close();
});

beforeEach(() => rows('delete from boards'));

const STATES = `(array['TODO','IN_PROGRESS','BLOCKED','COMPLETED','FAILED','CANCELLED'])[1 + floor(random() * 6)::int]`;
const TYPES = `(array[null, 'demo-agent', 'gemini-agent'])[1 + floor(random() * 3)::int]`;
const A_BOARD = `(select id from boards order by random() limit 1)`;
const SOME = `id in (select id from tasks order by random() limit 1 + floor(random() * 20)::int)`;

/** What can happen to tasks; each is one statement. */
const OPERATIONS = {
  board: `insert into boards (id, name, owner_id) values (gen_random_uuid(), 'b', $1)`,
  insert: `insert into tasks (board_id, title, description, state, priority, agent_type, created_by, archived_at)
    select b.id, 't', 'd', ${STATES}, floor(random() * 3)::int, ${TYPES}, $1, case when random() < 0.2 then now() end
    from (select ${A_BOARD} as id) b, generate_series(1, 1 + floor(random() * 30)::int) where b.id is not null`,
  move: `update tasks set state = ${STATES} where ${SOME}`,
  change: `update tasks set priority = floor(random() * 3)::int, agent_type = ${TYPES} where ${SOME}`,
  rename: `update tasks set title = 'other' where ${SOME}`,
  archive: `update tasks set archived_at = case when archived_at is null then now() end where ${SOME}`,
  carry: `update tasks set board_id = coalesce(${A_BOARD}, board_id) where ${SOME}`,
  upsert: `insert into tasks (id, board_id, title, description, created_by)
    select id, board_id, 't', 'd', $1 from tasks where ${SOME} on conflict (id) do update set state = ${STATES}`,
  delete: `delete from tasks where ${SOME}`,
  deleteBoard: `delete from boards where id = ${A_BOARD}`,
  merge: '',
} as const;
type Operation = keyof typeof OPERATIONS;

async function run(client: pg.Client, operation: Operation, rollBack: boolean): Promise<void> {
  if (operation === 'merge') return merger.merge();
  const statement = OPERATIONS[operation];
  await client.query('begin');
  try {
    await client.query(statement, statement.includes('$1') ? [user] : []);
    await client.query(rollBack ? 'rollback' : 'commit');
  } catch (error) {
    await client.query('rollback');
    // Of two statements that take rows from each other one is given up; one may lose its board to another one.
    if (!['40P01', '23503'].includes((error as { code: string }).code)) throw error;
  }
}

describe('counts of tasks', () => {
  it('are right at every moment, whatever several connections do at once', async () => {
    const operation = fc.record({
      kind: fc.constantFrom(...(Object.keys(OPERATIONS) as Operation[]), 'insert' as const, 'insert' as const),
      rollBack: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    });
    const script = fc.array(operation, { minLength: 5, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(fc.tuple(...clients.map(() => script)), async (scripts) => {
        await rows('delete from boards');
        for (let n = 0; n < 3; n++) await rows(OPERATIONS.board, [user]);
        const working = new AbortController();
        const watch = (async () => {
          while (!working.signal.aborted) expect(await rows(DIFFERENCES)).toEqual([]);
        })();
        try {
          const work = clients.map(async (client, index) => {
            for (const { kind, rollBack } of scripts[index] ?? []) await run(client, kind, rollBack);
          });
          await Promise.all(work);
        } finally {
          working.abort();
          await watch;
        }
        expect(await rows(DIFFERENCES)).toEqual([]);
        await Promise.all([merger.merge(), merger.merge()]);
        await merger.merge();
        expect(await rows(DIFFERENCES)).toEqual([]);
        expect(await rows('select id from task_counts where not merged or n <= 0')).toEqual([]);
      }),
      { numRuns: 8 },
    );
  });

  it('have one row for each kind once they are merged, and none for a board that is gone', async () => {
    for (let n = 0; n < 3; n++) await rows(OPERATIONS.board, [user]);
    for (let n = 0; n < 20; n++) await rows(OPERATIONS.insert, [user]);
    await merger.merge();
    const kinds =
      'select 1 from task_counts group by board_id, state, priority, agent_type, archived having count(*) > 1';
    expect(await rows(kinds)).toEqual([]);
    await rows('delete from boards');
    expect(await rows('select 1 from task_counts')).not.toEqual([]);
    await merger.merge();
    expect(await rows('select 1 from task_counts')).toEqual([]);
  });
});
