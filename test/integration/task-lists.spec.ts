import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Actor } from '../../src/common/auth/actor.js';
import type { PageRequest } from '../../src/common/validation/page.js';
import { ListTasksHandler, ListTasksQuery } from '../../src/modules/task/app/task-lists.queries.js';
import { TASK_SORTS, type TaskSort } from '../../src/modules/task/app/task-order.js';
import type { TaskFilter } from '../../src/modules/task/app/task-filter.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';

const ADMIN: Actor = { user_id: null, role: 'system' };
const BOARD = '019ac1a5-7c1e-7000-8000-0000000000b1';

let database: TestDatabase;
let lists: ListTasksHandler;
let user: string;

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(database.url, sql, values);

beforeAll(async () => {
  database = await openTestDatabase();
  lists = new ListTasksHandler(database.transactions);
  user = (await rows<{ id: string }>('select id from users'))[0]?.id ?? '';
  await rows(`insert into boards (id, name, owner_id) values ($1, 'Lists', $2)`, [BOARD, user]);
  // Few values, so that many rows tie.
  await rows(
    `insert into tasks (board_id, title, description, state, priority, agent_type, created_by, assigned_agent_id,
       created_at, updated_at, archived_at)
     select $1, 'Card ' || n, case when n % 4 = 0 then 'Find me' else 'Leave me' end,
       (array['TODO','IN_PROGRESS','BLOCKED','COMPLETED','FAILED','CANCELLED'])[1 + n % 6], n % 3,
       (array[null, 'demo-agent', 'gemini-agent'])[1 + n % 3], $2, $3,
       timestamptz '2026-01-01' + (n % 7) * interval '1 day', timestamptz '2026-02-01' + (n % 5) * interval '1 ms',
       case when n % 5 = 0 then now() end
     from (select n, case when n % 11 = 0 then $4::uuid end as agent from generate_series(1, 120) n) numbers`
      .replace('$3,', 'agent,')
      .replace('$4', '$3'),
    [BOARD, user, '019ac1a5-7c1e-7000-8000-0000000000a1'],
  );
});

afterAll(() => database.close());

const list = (filter: Partial<TaskFilter>, sort: TaskSort, page: Partial<PageRequest>) =>
  lists.execute(
    new ListTasksQuery(ADMIN, BOARD, { archived: 'exclude', ...filter }, sort, {
      limit: 50,
      offset: 0,
      cursor: null,
      ...page,
    }),
  );

/** What the list has to be, the plain way. */
async function expected(filter: Partial<TaskFilter>, sort: TaskSort): Promise<string[]> {
  const { archived = 'exclude' } = filter;
  const direction = sort.startsWith('-') ? 'desc' : 'asc';
  const found = await rows<{ id: string }>(
    `select id from tasks where board_id = $1
       and ($2::text[] is null or state = any($2)) and ($3::int[] is null or priority = any($3))
       and ($4::text is null or agent_type = $4) and ($5::uuid is null or assigned_agent_id = $5)
       and ($6::text is null or description ilike '%find%') and ($7::timestamptz is null or created_at > $7)
       and ($8::timestamptz is null or created_at < $8)
       and ($9 = 'include' or (archived_at is not null) = ($9 = 'only'))
     order by ${sort.replace('-', '')} ${direction}, id ${direction}`,
    [
      ...[BOARD, filter.states, filter.priorities, filter.agent_type, filter.assigned_agent_id, filter.q],
      ...[filter.created_after, filter.created_before, archived],
    ],
  );
  return found.map(({ id }) => id);
}

const filters = fc.record(
  {
    states: fc.subarray(['TODO', 'IN_PROGRESS', 'BLOCKED', 'COMPLETED', 'FAILED', 'CANCELLED'] as const, {
      minLength: 1,
    }),
    priorities: fc.subarray([0, 1, 2], { minLength: 1 }),
    agent_type: fc.constantFrom('demo-agent', 'gemini-agent', 'unknown'),
    assigned_agent_id: fc.constant('019ac1a5-7c1e-7000-8000-0000000000a1'),
    q: fc.constantFrom('find', 'FIN me'),
    created_after: fc.constant('2026-01-02T00:00:00.000Z'),
    created_before: fc.constant('2026-01-06T00:00:00.000Z'),
    archived: fc.constantFrom('exclude', 'include', 'only'),
  } as const,
  { requiredKeys: [] },
);

describe('lists of tasks', () => {
  it('have every row once, in order, page by page, with the exact total: any filter, any order, any page size', async () => {
    await fc.assert(
      fc.asyncProperty(
        filters,
        fc.constantFrom(...TASK_SORTS),
        fc.integer({ min: 1, max: 40 }),
        async (filter, sort, limit) => {
          const all = await expected(filter, sort);
          const got: string[] = [];
          for (let cursor: string | null = null, pages = 0; pages === 0 || cursor !== null; pages++) {
            const page = await list(filter, sort, { limit, cursor });
            expect(page.total).toBe(all.length);
            got.push(...page.items.map(({ id }) => id));
            cursor = page.next_cursor;
          }
          expect(got).toEqual(all);
          for (const offset of [1, limit, 1001]) {
            const page = await list(filter, sort, { limit, offset });
            expect(page).toMatchObject({ total: all.length });
            expect(page.items.map(({ id }) => id)).toEqual(all.slice(offset, offset + limit));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(TASK_SORTS)(
    'by %s neither repeat nor miss a row that stays, while others come, change and go',
    async (sort) => {
      const before = await expected({}, sort);
      const disturbed = new Set<string>();
      const got: string[] = [];
      for (let cursor: string | null = null, pages = 0; pages === 0 || cursor !== null; pages++) {
        const page = await list({}, sort, { limit: 7, cursor });
        got.push(...page.items.map(({ id }) => id));
        cursor = page.next_cursor;
        const changed = await rows<{ id: string }>(
          `update tasks set priority = 2 - priority, updated_at = now(), created_at = created_at + interval '3 days'
         where id in (select id from tasks where board_id = $1 order by random() limit 2) returning id`,
          [BOARD],
        );
        const made = await rows<{ id: string }>(
          `insert into tasks (board_id, title, description, created_by, created_at, updated_at, priority)
         select board_id, title, 'new', created_by, created_at, updated_at, priority from tasks
         where board_id = $1 order by random() limit 2 returning id`,
          [BOARD],
        );
        for (const { id } of [...changed, ...made]) disturbed.add(id);
      }
      const calm = (ids: string[]) => ids.filter((id) => !disturbed.has(id));
      expect(calm(got)).toEqual(calm(before));
      await rows(`delete from tasks where board_id = $1 and description = 'new'`, [BOARD]);
    },
  );

  it('refuse a cursor of another order, filter or board', async () => {
    const { next_cursor: cursor } = await list({ states: ['TODO', 'BLOCKED'] }, '-priority', { limit: 2 });
    expect(cursor).not.toBeNull();
    const refusal = { code: 'request.invalid', details: { errors: [{ field: 'cursor' }] } };
    await expect(list({ states: ['TODO', 'BLOCKED'] }, 'priority', { cursor })).rejects.toMatchObject(refusal);
    await expect(list({ states: ['TODO'] }, '-priority', { cursor })).rejects.toMatchObject(refusal);
    await expect(list({}, '-priority', { cursor })).rejects.toMatchObject(refusal);
    const same = await list({ states: ['BLOCKED', 'TODO'] }, '-priority', { cursor, limit: 1 });
    expect(same.items).toHaveLength(1);
  });
});

describe('a search', () => {
  const OTHER = '019ac1a5-7c1e-7000-8000-0000000000b2';
  const TEXTS = [
    ['SHOP-17: Rechnungsbetrag falsch', 'See https://git.example.com/shop/website.git and <b>bold</b>'],
    ["Don't panic", 'v1.2.3 of src/app/main.ts; mail ann@example.com'],
    ['Größe ÄNDERN 🐎', 'tab\tnew\nline 50%_done\\'],
    ['発票 を直す', 'x'.repeat(400)],
  ] as const;

  beforeAll(async () => {
    await rows(`insert into boards (id, name, owner_id) values ($1, 'Words', $2)`, [OTHER, user]);
    for (const [title, description] of TEXTS) {
      const insert = 'insert into tasks (board_id, title, description, created_by) values ($1, $2, $3, $4)';
      await rows(insert, [OTHER, title, description, user]);
    }
  });

  const find = async (q: string) => {
    const page = { limit: 50, offset: 0, cursor: null };
    const found = await lists.execute(
      new ListTasksQuery(ADMIN, OTHER, { archived: 'exclude', q }, '-created_at', page),
    );
    expect(found.total).toBe(found.items.length);
    return found.items.map(({ title }) => TEXTS.findIndex(([text]) => text === title)).toSorted((a, b) => a - b);
  };

  it.each([
    ...([
      ['shop', [0]],
      ['17', [0]],
      ['SHOP-17', [0]],
      ['rechnung', [0]],
      ['website', [0]],
      ['bold', [0]],
    ] as const),
    ...([
      ['example', [0, 1]],
      ['example ann', [1]],
      ['ann falsch', []],
      ['main.ts', [1]],
      ['v1.2', [1]],
    ] as const),
    ...([
      ["don't p", [1]],
      ['größe', [2]],
      ['ändern', [2]],
      ['done', [2]],
      ['50%', [2]],
      ['line tab', [2]],
    ] as const),
    ...([
      ['発票', [3]],
      ['xxx', [3]],
      ['anic', []],
      ["it's", []],
      ['panic panic pan', [1]],
    ] as const),
  ])('for %j finds %j', async (q, found) => {
    expect(await find(q)).toEqual(found);
  });

  it.each(["'", "''", '\\', '!', '&', '|', '<->', ':*', "a':*", '(', '!!!', '%', '-', ' ', '"', "';--", '\u200b', '…'])(
    'for %j is no error',
    async (q) => expect(await find(q)).toBeInstanceOf(Array),
  );

  it('of any text is no error', async () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }).filter((text) => !text.includes('\0') && text.isWellFormed()),
      fc.string({ unit: 'grapheme', maxLength: 100 }),
      fc.string({
        unit: fc.constantFrom("'", '\\', ':', '*', '&', '|', '!', '(', ')', '<', '>', '-', ' ', 'a', 'é'),
        maxLength: 200,
      }),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (q) => void (await find(q))),
      { numRuns: 200 },
    );
    expect(await find('🐎'.repeat(200))).toEqual([]);
  });
});
