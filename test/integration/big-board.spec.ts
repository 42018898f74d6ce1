import type { RawBuilder } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Actor } from '../../src/common/auth/actor.js';
import { taskEventsStatement } from '../../src/modules/task/app/task-events.queries.js';
import type { TaskFilter } from '../../src/modules/task/app/task-filter.js';
import { TaskOrder, type TaskPosition, type TaskSort } from '../../src/modules/task/app/task-order.js';
import { taskPageStatement } from '../../src/modules/task/app/task-page.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';

const SMALL = { id: '019ac1a5-7c1e-7000-8000-0000000000b1', tasks: 1_000 };
const BIG = { id: '019ac1a5-7c1e-7000-8000-0000000000b2', tasks: 200_000 };
/** What a big board may read more than a small one: its indexes are a level or two higher. */
const RATIO = 3;

let database: TestDatabase;
let actor: Actor;

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);

beforeAll(async () => {
  database = await openTestDatabase();
  actor = { user_id: (await rows<{ id: string }>('select id from users'))[0]?.id ?? '', role: 'member' };
  for (const { id, tasks } of [SMALL, BIG]) {
    await rows(`insert into boards (id, name, owner_id) values ($1, 'board', $2)`, [id, actor.user_id]);
    await rows(`insert into board_members (board_id, user_id, role) values ($1, $2, 'owner')`, [id, actor.user_id]);
    // As boards grow: most is done, and done long ago. As many tasks of each board have the rare words.
    await rows(
      `insert into tasks (id, board_id, title, description, state, priority, agent_type, created_by, created_at, updated_at)
       select uuidv7(), $1, 'Task ' || n || case when n % ($2 / 1000) = 0 then ' rare' || n / ($2 / 1000) % 50 else '' end,
         'A description with common words and ' || md5(n::text),
         case when n < $2 * 0.9 then 'COMPLETED'
           else (array['TODO','IN_PROGRESS','BLOCKED','FAILED','CANCELLED'])[1 + n % 5] end,
         n % 11, (array[null, 'demo-agent', 'gemini-agent', 'auggie-cli'])[1 + n % 4], $3,
         now() - ($2 - n) * interval '1 second', now() - (n * 7919 % $2) * interval '1 second'
       from generate_series(1, $2::int) n`.replaceAll('n * 7919', 'n::bigint * 7919'),
      [id, tasks, actor.user_id],
    );
  }
  await rows(`insert into task_events (task_id, event_type, created_by)
    select t.id, 'task.updated', t.created_by from tasks t, generate_series(1, 5)`);
  await rows('vacuum analyze');
});

afterAll(() => database.close());

/** How many pages of 8 KiB the statement reads, wherever they come from. */
async function buffers(statement: RawBuilder<unknown>): Promise<number> {
  const { sql, parameters } = statement.compile(database.transactions.kysely());
  const [answer] = await rows<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
    `explain (analyze, buffers, format json) ${sql}`,
    [...parameters],
  );
  const plan = answer?.['QUERY PLAN'][0].Plan ?? {};
  return (plan['Shared Hit Blocks'] ?? NaN) + (plan['Shared Read Blocks'] ?? NaN);
}

interface Case {
  filter?: Partial<TaskFilter>;
  sort?: TaskSort;
  /** How far down the page is, of 0 to 1. */
  depth?: number;
  /** Where no index has all of it: a bound of its own. */
  most?: number;
}

async function pageBuffers(
  { id: board_id, tasks }: typeof BIG,
  { filter, sort = '-created_at', depth }: Case,
): Promise<number> {
  const after: TaskPosition | null =
    depth === undefined
      ? null
      : ((
          await rows<{ value: string; id: string }>(
            `select id, created_at::text as value from tasks where board_id = $1 order by created_at desc, id desc offset $2 limit 1`,
            [board_id, Math.floor(tasks * depth)],
          )
        )[0] ?? null);
  return buffers(
    taskPageStatement({
      ...{ actor, board_id, filter: { archived: 'exclude', ...filter }, order: new TaskOrder(sort), after },
      page: { limit: 50, offset: 0, cursor: null },
    }),
  );
}

describe('a board of 200,000 tasks reads about as much as one of 1,000', () => {
  const cases: Record<string, Case> = {
    'for the first page': {},
    'for the first page by time of change': { sort: '-updated_at' },
    'for the first page by priority': { sort: '-priority' },
    'for the oldest': { sort: 'created_at' },
    'for a page in the middle': { depth: 0.5 },
    'for the last page': { depth: 0.95 },
    'for a state and a priority': { filter: { states: ['COMPLETED'], priorities: [3] } },
    'for states that are far down': { filter: { states: ['COMPLETED', 'FAILED'] } },
    'for a state by priority': { filter: { states: ['TODO'] }, sort: '-priority' },
    'for an agent type': { filter: { agent_type: 'demo-agent' } },
    'for an agent type and states': { filter: { agent_type: 'demo-agent', states: ['TODO', 'BLOCKED'] }, most: 400 },
    'for a priority': { filter: { priorities: [3] } },
    'for archived tasks': { filter: { archived: 'only' }, sort: '-updated_at' },
    'with archived tasks': { filter: { archived: 'include' }, sort: '-priority' },
    'for a rare word': { filter: { q: 'rare17' } },
    'for the beginning of rare words': { filter: { q: 'rare1 task' } },
    'for a word that nobody wrote': { filter: { q: 'nonsense' } },
    'for a rare word of a state': { filter: { q: 'rare17', states: ['COMPLETED'] } },
  };
  it.each(Object.entries(cases))('%s', async (_, what) => {
    const [small, big] = [await pageBuffers(SMALL, what), await pageBuffers(BIG, what)];
    expect(big, `${big} pages against ${small}`).toBeLessThanOrEqual(Math.max(small * RATIO, what.most ?? 0));
  });

  it('for the history of a task', async () => {
    const [small, big] = await Promise.all(
      [SMALL, BIG].map(async ({ id }) => {
        const [task] = await rows<{ id: string }>('select id from tasks where board_id = $1 limit 1', [id]);
        const page = { limit: 50, offset: 0, cursor: null };
        return buffers(taskEventsStatement(actor, task?.id ?? '', undefined, 0, page));
      }),
    );
    expect(big).toBeLessThanOrEqual((small ?? 0) * RATIO);
  });

  it('and never sums up more rows than there are kinds of tasks, once they are merged', async () => {
    const [{ n } = { n: 0 }] = await rows<{ n: number }>('select count(*)::int as n from task_counts');
    expect(n).toBeLessThan(2 * 6 * 11 * 4);
  });
});
