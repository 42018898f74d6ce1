import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface Task {
  id: string;
  title: string;
  created_at: string;
}
interface TaskList {
  tasks: Task[];
  total: number;
  next_cursor: string | null;
  errors?: { field: string }[];
}
interface EventList {
  events: {
    id: number;
    event_type: string;
    reason: string | null;
    changes: Record<string, { from: unknown; to: unknown }> | null;
    created_by_username: string | null;
  }[];
  total: number;
  next_cursor: string | null;
}

let server: TestServer;
let user: TestUser;
let board: string;
const tasks: Task[] = [];

beforeAll(async () => {
  server = await TestServer.start({ RATE_LIMIT_PER_MINUTE: '0' });
  await server.newUser('admin');
  user = await server.newUser('ann');
  board = await user.createBoard();
  for (let n = 0; n < 12; n++) {
    const fields = { title: `Card ${n}`, description: n % 2 ? 'An odd one' : 'An even one', priority: n % 4 };
    tasks.push(await user.must<Task>(201, 'POST', `/boards/${board}/tasks`, fields));
  }
  for (const { id } of tasks.slice(0, 3)) await user.must(200, 'PATCH', `/tasks/${id}/state`, { state: 'IN_PROGRESS' });
  const archive = 'update tasks set archived_at = now() where id = $1';
  await query(server.database.url, archive, [tasks[11]?.id]);
});
afterAll(() => server.dispose());

const list = (search: string) => user.get<TaskList>(`/boards/${board}/tasks?${search}`);
const numbers = async (search: string) => {
  const { status, body } = await list(search);
  expect(status).toBe(200);
  return body.tasks.map(({ title }) => Number(title.slice(5)));
};

describe('the list of tasks', () => {
  it.each([
    ['', [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
    ['sort=created_at', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['sort=-updated_at&limit=3', [2, 1, 0]],
    ['sort=updated_at&limit=2', [3, 4]],
    ['sort=-priority', [7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0]],
    ['sort=priority&limit=4', [0, 4, 8, 1]],
    ['state=IN_PROGRESS', [2, 1, 0]],
    ['state=IN_PROGRESS,TODO&priority=0,1&sort=created_at', [0, 1, 4, 5, 8, 9]],
    ['priority=3', [7, 3]],
    ['priority=3&priority=2', [10, 7, 6, 3, 2]],
    ['archived=only', [11]],
    ['archived=include&limit=2', [11, 10]],
    ['archived=include&sort=-priority&limit=4', [11, 7, 3, 10]],
    ['q=odd', [9, 7, 5, 3, 1]],
    ['q=ODD%20card', [9, 7, 5, 3, 1]],
    ['q=card%201', [10, 1]],
    ['q=eve&priority=2', [10, 6, 2]],
    ['q=odd&archived=include&limit=2', [11, 9]],
    ['q=odd%20even', []],
    ['q=!!!', []],
    ['q=%F0%9F%90%8E', []],
    ['offset=9', [1, 0]],
    ['limit=2&offset=3&sort=created_at', [3, 4]],
    ['q=odd&offset=4', [1]],
    ['assigned_agent_id=019AC1A5-7C1E-7000-8000-000000000000', []],
  ])('%s', async (search, expected) => {
    expect(await numbers(search)).toEqual(expected);
  });

  it('is cut by time', async () => {
    const time = tasks[5]?.created_at ?? '';
    expect(await numbers(`created_after=${time}&sort=created_at`)).toEqual([6, 7, 8, 9, 10]);
    expect(await numbers(`created_before=${time}`)).toEqual([4, 3, 2, 1, 0]);
    const elsewhere = encodeURIComponent(`${new Date(Date.parse(time) + 3_600_000).toISOString().slice(0, -1)}+01:00`);
    expect(await numbers(`created_before=${elsewhere}`)).toEqual([4, 3, 2, 1, 0]);
  });

  it.each(['', 'q=one', 'sort=-priority', 'state=TODO,IN_PROGRESS', 'archived=include'])(
    'goes on by cursor (%s), which is good for the same list only',
    async (search) => {
      const all = await numbers(search);
      const got: number[] = [];
      let first = '';
      for (let cursor: string | null = ''; cursor !== null;) {
        const { body }: { body: TaskList } = await list(`${search}&limit=4${cursor && `&cursor=${cursor}`}`);
        expect(body.total).toBe(all.length);
        got.push(...body.tasks.map(({ title }) => Number(title.slice(5))));
        first ||= body.next_cursor ?? '';
        cursor = body.next_cursor;
      }
      expect(got).toEqual(all);
      for (const wrong of ['sort=updated_at', 'priority=1', 'q=card']) {
        const answer = await list(`${wrong}&cursor=${first}`);
        expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: 'cursor' }] } });
      }
    },
  );

  it.each([
    ['sort=title', 'sort'],
    ['sort=', 'sort'],
    ['archived=true', 'archived'],
    ['priority=11', 'priority'],
    ['priority=1,x', 'priority'],
    ['priority=', 'priority'],
    ['assigned_agent_id=7', 'assigned_agent_id'],
    ['created_after=yesterday', 'created_after'],
    ['created_after=2026-11-22', 'created_after'],
    ['created_after=2026-13-22T00:00:00Z', 'created_after'],
    ['created_after=0000-01-01T00:00:00Z', 'created_after'],
    ['created_before=2026-11-22T00:00:00%2B99:00', 'created_before'],
    ['created_before=9999-12-31T23:59:59-14:00', 'created_before'],
    [`q=${'x'.repeat(201)}`, 'q'],
    ['q=', 'q'],
    ['offset=1000001', 'offset'],
    ['cursor=AAAA', 'cursor'],
  ])('refuses %s', async (search, field) => {
    expect(await list(search)).toMatchObject({ status: 400, body: { errors: [{ field }] } });
  });

  it('has its counts merged in the background, and right all the time', async () => {
    const unmerged = 'select 1 from task_counts where not merged';
    await until('the counts to be merged', async () => (await query(server.database.url, unmerged)).length === 0);
    const { body } = await list('limit=1');
    expect(body.total).toBe(11);
  });
});

describe('the history of a task', () => {
  const history = (id: string, search = '') => user.get<EventList>(`/tasks/${id}/events?${search}`);

  it('tells who did what, why, and what it was before', async () => {
    const { id } = await user.createTask(board, { title: 'Old', priority: 1 });
    await user.must(200, 'PUT', `/tasks/${id}`, { title: 'New', priority: 2 });
    await user.must(200, 'PATCH', `/tasks/${id}/state`, { state: 'IN_PROGRESS', reason: 'It is time' });
    const { body } = await history(id);
    expect(body.total).toBe(3);
    expect(body.events).toMatchObject([
      { event_type: 'task.created', reason: null, changes: null, created_by: user.userId, created_by_username: 'ann' },
      {
        event_type: 'task.updated',
        changes: { title: { from: 'Old', to: 'New' }, priority: { from: 1, to: 2 } },
        created_by_username: 'ann',
      },
      {
        event_type: 'task.state_changed',
        reason: 'It is time',
        changes: { state: { from: 'TODO', to: 'IN_PROGRESS' } },
      },
    ]);
    const moves = await history(id, 'event_type=task.state_changed,task.created&limit=1');
    expect(moves.body).toMatchObject({ total: 2, events: [{ event_type: 'task.created' }] });
    const rest = `limit=1&cursor=${moves.body.next_cursor}`;
    expect((await history(id, `event_type=task.created,task.state_changed&${rest}`)).body).toMatchObject({
      ...{ total: 2, next_cursor: null },
      events: [{ event_type: 'task.state_changed' }],
    });
    expect(await history(id, rest)).toMatchObject({ status: 400, body: { errors: [{ field: 'cursor' }] } });
    expect((await history(id, 'event_type=task.exploded')).status).toBe(400);
  });
});
