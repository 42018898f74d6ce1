import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, statusesOf } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';

interface BoardBody {
  id: string;
  name: string;
  description: string | null;
  version: number;
}

interface TaskBody {
  id: string;
  title: string;
  state: string;
  priority: number;
  version: number;
  [field: string]: unknown;
}

interface EventBody {
  id: number;
  event_type: string;
  old_state: string | null;
  new_state: string | null;
  metadata: Record<string, unknown> | null;
  created_by: string | null;
}

const UUID_V7 = expect.stringMatching(
  /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
) as string;
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
const UNKNOWN = '019ac1a5-7c1e-7000-8000-000000000000';

let server: TestServer;
let admin: ApiClient;
let owner: ApiClient;
let outsider: ApiClient;
let board: string;

beforeAll(async () => {
  server = await TestServer.start();
  admin = await server.newUser();
  [owner, outsider] = await Promise.all([server.newUser(), server.newUser()]);
  board = (await owner.post<BoardBody>('/boards', { name: 'Shared' })).body.id;
});
afterAll(() => server.dispose());

/** A new user with a role on the board. */
async function member(role: 'editor' | 'viewer'): Promise<ApiClient> {
  const user = await server.newUser();
  const insert = 'insert into board_members (board_id, user_id, role) values ($1, $2, $3)';
  await query(server.database.url, insert, [board, user.userId, role]);
  return user;
}

async function newTask(fields: object = {}, on = board): Promise<TaskBody> {
  const answer = await owner.post<TaskBody>(`/boards/${on}/tasks`, {
    title: 'A task',
    description: 'Do it',
    ...fields,
  });
  expect(answer.status).toBe(201);
  return answer.body;
}

async function history(task: string): Promise<EventBody[]> {
  return (await owner.get<{ events: EventBody[] }>(`/tasks/${task}/events`)).body.events;
}

/** A run as another server holds it: ours leaves it alone. */
async function addRun(task: string, state: string): Promise<void> {
  const insert = `insert into runs (id, task_id, board_id, agent_type, state, host_id, lease_owner, lease_expires_at)
    select gen_random_uuid(), id, board_id, 'demo-agent', $2, gen_random_uuid(), gen_random_uuid(), now() + interval '1 hour'
    from tasks where id = $1`;
  await query(server.database.url, insert, [task, state]);
}

describe('boards', () => {
  it('are made, read, changed and deleted', async () => {
    const made = await owner.post<BoardBody>('/boards', { name: '  Website ' });
    expect(made).toMatchObject({
      status: 201,
      body: { name: 'Website', description: null, owner_id: owner.userId, version: 1 },
    });
    expect(made.body).toMatchObject({ id: UUID_V7, created_at: TIME, updated_at: TIME });
    expect(made.headers.get('etag')).toBe('"1"');
    const path = `/boards/${made.body.id}`;
    expect(await owner.get(path)).toMatchObject({ status: 200, body: made.body });
    const changed = await owner.put(path, { description: 'All of it' });
    expect(changed).toMatchObject({ status: 200, body: { name: 'Website', description: 'All of it', version: 2 } });
    expect(changed.headers.get('etag')).toBe('"2"');
    expect(await owner.put(path, { description: 'All of it' })).toMatchObject({ body: { version: 2 } });
    expect(await owner.put(path, { description: null })).toMatchObject({ body: { description: null, version: 3 } });
    expect((await owner.delete(path)).status).toBe(204);
    expect(await owner.get(path)).toMatchObject({ status: 404, body: { code: 'board.not_found' } });
  });

  it('are seen by their members and by administrators alone', async () => {
    const mine = (await outsider.post<BoardBody>('/boards', { name: 'Private' })).body.id;
    for (const path of [`/boards/${mine}`, `/boards/${mine}/tasks`, `/boards/${UNKNOWN}`]) {
      expect(await owner.get(path)).toMatchObject({ status: 404, body: { code: 'board.not_found' } });
    }
    expect(await owner.put(`/boards/${mine}`, { name: 'x' })).toMatchObject({ status: 404 });
    expect(await owner.delete(`/boards/${mine}`)).toMatchObject({ status: 404 });
    const list = async (who: ApiClient) =>
      (await who.get<{ boards: BoardBody[] }>('/boards')).body.boards.map(({ id }) => id);
    expect(await list(outsider)).toEqual([mine]);
    expect(await list(owner)).not.toContain(mine);
    expect(await list(admin)).toEqual(expect.arrayContaining([mine, board]));
    expect((await admin.put(`/boards/${mine}`, { name: 'Renamed' })).status).toBe(200);
  });

  it.each([
    ['post', '/boards', {}, 'name'],
    ['post', '/boards', { name: '   ' }, 'name'],
    ['post', '/boards', { name: 'x'.repeat(256) }, 'name'],
    ['post', '/boards', { name: 'x', owner_id: UNKNOWN }, 'owner_id'],
    ['put', `/boards/${UNKNOWN}`, { name: null }, 'name'],
    ['put', `/boards/${UNKNOWN}`, { version: 3 }, 'version'],
    ['put', `/boards/${UNKNOWN}`, [], 'body'],
    ['put', '/boards/17', {}, 'boardId'],
  ] as const)('%s %s %j: %s is wrong', async (method, path, body, field) => {
    const answer = await owner[method](path, body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid', errors: [{ field }] } });
  });

  it('are not deleted while a task of theirs runs', async () => {
    const busy = (await owner.post<BoardBody>('/boards', { name: 'Busy' })).body.id;
    const task = await newTask({}, busy);
    await addRun(task.id, 'RUNNING');
    const answer = await owner.delete(`/boards/${busy}`);
    expect(answer).toMatchObject({ status: 409, body: { code: 'board.run_live', task_ids: [task.id] } });
    expect((await owner.get(`/tasks/${task.id}`)).status).toBe(200);
    await query(server.database.url, `update runs set state = 'CANCELLED' where task_id = $1`, [task.id]);
    expect((await owner.delete(`/boards/${busy}`)).status).toBe(204);
    expect(await owner.get(`/tasks/${task.id}`)).toMatchObject({ status: 404, body: { code: 'task.not_found' } });
  });
});

describe('tasks', () => {
  it('have the fields they were given, and defaults for the rest', async () => {
    const fields = {
      ...{ title: 'Fix it', description: 'All of it 🐎', priority: 7, agent_type: 'demo-agent' },
      ...{ repository_url: 'https://git.example.com/a.git', branch: 'feature/x' },
      ...{ inactivity_timeout_seconds: 90, wall_clock_timeout_seconds: 31_536_000 },
      retry_policy: { max_attempts: 2, backoff_seconds: null, max_backoff_seconds: 60, retry_on: [] },
      metadata: { ticket: 'X-1', deep: [{ toString: null }] },
    };
    const full = await owner.post<TaskBody>(`/boards/${board}/tasks`, fields);
    expect(full.status).toBe(201);
    expect(full.headers.get('etag')).toBe('"1"');
    expect(full.body).toEqual({
      ...fields,
      ...{ id: UUID_V7, board_id: board, state: 'TODO', version: 1, created_by: owner.userId },
      ...{ depends_on: [], archived_at: null },
      ...{ assigned_agent_id: null, created_at: TIME, updated_at: TIME, started_at: null, completed_at: null },
    });
    expect((await owner.get(`/tasks/${full.body.id}`)).body).toEqual(full.body);
    const timeouts = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null };
    const none = { agent_type: null, repository_url: null, branch: null, retry_policy: null, ...timeouts };
    expect(await newTask()).toMatchObject({ priority: 0, metadata: {}, ...none });
    expect(await newTask(none)).toMatchObject(none);
  });

  it.each([
    [{ title: '' }, 'title'],
    [{ title: 'x'.repeat(501) }, 'title'],
    [{ title: 'a\0b' }, 'title'],
    [{ title: 'a\ud800b' }, 'title'],
    [{ title: ['x'] }, 'title'],
    [{ description: '' }, 'description'],
    [{ description: undefined }, 'description'],
    [{ description: 'x'.repeat(32_001) }, 'description'],
    [{ priority: 11 }, 'priority'],
    [{ priority: -1 }, 'priority'],
    [{ priority: 1.5 }, 'priority'],
    [{ priority: '5' }, 'priority'],
    [{ priority: null }, 'priority'],
    [{ agent_type: 'Not A Name' }, 'agent_type'],
    [{ agent_type: '' }, 'agent_type'],
    [{ repository_url: 'ext::sh -c id' }, 'repository_url'],
    [{ repository_url: 'https://ann:secret@git.example.com/a.git' }, 'repository_url'],
    [{ repository_url: '--upload-pack=id' }, 'repository_url'],
    [{ retry_policy: { max_attempts: 0 } }, 'retry_policy.max_attempts'],
    [{ retry_policy: { retry_on: ['agent.lost', 'agent.lost'] } }, 'retry_policy.retry_on'],
    [{ inactivity_timeout_seconds: 0 }, 'inactivity_timeout_seconds'],
    [{ inactivity_timeout_seconds: 604_801 }, 'inactivity_timeout_seconds'],
    [{ inactivity_timeout_seconds: '60' }, 'inactivity_timeout_seconds'],
    [{ wall_clock_timeout_seconds: -1 }, 'wall_clock_timeout_seconds'],
    [{ wall_clock_timeout_seconds: 1.5 }, 'wall_clock_timeout_seconds'],
    [{ wall_clock_timeout_seconds: 31_536_001 }, 'wall_clock_timeout_seconds'],
    [{ branch: '--orphan' }, 'branch'],
    [{ branch: 'a..b' }, 'branch'],
    [{ metadata: [] }, 'metadata'],
    [{ metadata: null }, 'metadata'],
    [{ metadata: { a: '\0' } }, 'metadata'],
    [{ metadata: { a: 'x'.repeat(33_000) } }, 'metadata'],
    [{ state: 'COMPLETED' }, 'state'],
    [{ created_by: UNKNOWN }, 'created_by'],
    [{ id: UNKNOWN }, 'id'],
  ])('are not made with %j', async (wrong, field) => {
    const answer = await owner.post(`/boards/${board}/tasks`, { title: 'x', description: 'x', ...wrong });
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid', errors: [{ field }] } });
  });

  it('take a title of 500 characters, whatever those are', async () => {
    expect((await newTask({ title: '🐎'.repeat(500) })).title).toBe('🐎'.repeat(500));
  });

  it('never repeat a secret of the request in the answer or the log', async () => {
    const repository_url = 'https://ann:s3cr3t-canary@git.example.com/a.git';
    const answer = await owner.post(`/boards/${board}/tasks`, { title: 'x', description: 'x', repository_url });
    expect(JSON.stringify(answer.body)).not.toContain('s3cr3t-canary');
    expect(server.log).not.toContain('s3cr3t-canary');
  });

  it('change in the given fields, with a line of history, and not at all when nothing is different', async () => {
    const { id } = await newTask({ branch: 'main', metadata: { b: 1, a: [2] } });
    const changed = await owner.put(`/tasks/${id}`, {
      title: 'New',
      branch: null,
      priority: 0,
      metadata: { a: [2], b: 1 },
    });
    expect(changed).toMatchObject({
      status: 200,
      body: { title: 'New', branch: null, description: 'Do it', version: 2 },
    });
    for (const same of [{ title: 'New' }, {}]) {
      expect(await owner.put(`/tasks/${id}`, same)).toMatchObject({ status: 200, body: { version: 2 } });
    }
    const [created, updated, ...rest] = await history(id);
    expect(created).toMatchObject({
      event_type: 'task.created',
      old_state: null,
      new_state: 'TODO',
      created_by: owner.userId,
    });
    expect(updated).toMatchObject({
      ...{ event_type: 'task.updated', created_by: owner.userId },
      metadata: { changes: { title: { from: 'A task', to: 'New' }, branch: { from: 'main', to: null } } },
    });
    expect(rest).toEqual([]);
    expect(await owner.put(`/tasks/${id}`, { state: 'COMPLETED' })).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'state' }] },
    });
  });

  it('take limits of time, and give them back to their agent type', async () => {
    const { id } = await newTask({ wall_clock_timeout_seconds: 60 });
    const change = (fields: object) => owner.put(`/tasks/${id}`, fields);
    const given = { inactivity_timeout_seconds: 5, wall_clock_timeout_seconds: null };
    expect(await change(given)).toMatchObject({ status: 200, body: { ...given, version: 2 } });
    expect(await change({ title: 'Other' })).toMatchObject({ status: 200, body: { ...given, version: 3 } });
    expect(await change({ inactivity_timeout_seconds: 0 })).toMatchObject({ status: 400 });
    expect((await history(id))[1]?.metadata).toEqual({
      changes: {
        inactivity_timeout_seconds: { from: null, to: 5 },
        wall_clock_timeout_seconds: { from: 60, to: null },
      },
    });
    const { body } = await owner.get<{ tasks: object[] }>(`/boards/${board}/tasks?sort=-updated_at&limit=1`);
    expect(body.tasks).toMatchObject([given]);
  });

  it('move along the allowed ways only, with a line of history each', async () => {
    const { id } = await newTask();
    const move = (state: string, reason?: string) => owner.patch(`/tasks/${id}/state`, { state, reason });
    expect(await move('COMPLETED')).toMatchObject({
      status: 409,
      body: { code: 'task.illegal_transition', state: 'TODO', allowed: ['IN_PROGRESS'] },
    });
    expect(await move('IN_PROGRESS', 'now')).toMatchObject({
      status: 200,
      body: { state: 'IN_PROGRESS', started_at: TIME },
    });
    expect(await move('IN_PROGRESS')).toMatchObject({ status: 409 });
    expect(await move('BLOCKED')).toMatchObject({ status: 200, body: { state: 'BLOCKED' } });
    expect(await move('IN_PROGRESS')).toMatchObject({ status: 200 });
    expect(await move('COMPLETED')).toMatchObject({
      status: 200,
      body: { state: 'COMPLETED', completed_at: TIME, version: 5 },
    });
    expect(await move('TODO')).toMatchObject({ status: 200, body: { started_at: null, completed_at: null } });
    expect(await move('DONE')).toMatchObject({ status: 400, body: { errors: [{ field: 'state' }] } });
    const lines = (await history(id)).map(({ old_state, new_state }) => `${old_state} > ${new_state}`);
    expect(lines.slice(1)).toEqual([
      ...['TODO > IN_PROGRESS', 'IN_PROGRESS > BLOCKED', 'BLOCKED > IN_PROGRESS'],
      ...['IN_PROGRESS > COMPLETED', 'COMPLETED > TODO'],
    ]);
    expect((await history(id))[1]?.metadata).toEqual({ reason: 'now' });
  });

  it('honour If-Match', async () => {
    const { id } = await newTask();
    const put = (title: string, etag: string) => owner.put(`/tasks/${id}`, { title }, { 'if-match': etag });
    expect((await put('one', '"1"')).status).toBe(200);
    expect(await put('two', '"1"')).toMatchObject({ status: 412, body: { code: 'precondition.stale', version: 2 } });
    expect((await put('two', '"1", "2"')).status).toBe(200);
    expect((await put('three', '*')).status).toBe(200);
    expect(await put('four', '4')).toMatchObject({ status: 400, body: { errors: [{ field: 'If-Match' }] } });
    const stale = { 'if-match': '"1"' };
    expect((await owner.patch(`/tasks/${id}/state`, { state: 'IN_PROGRESS' }, stale)).status).toBe(412);
    expect((await owner.delete(`/tasks/${id}`, stale)).status).toBe(412);
    expect((await owner.delete(`/tasks/${id}`, { 'if-match': '"4"' })).status).toBe(204);
  });

  it('take changes of many at once one by one', async () => {
    const { id } = await newTask();
    const ten = Array.from({ length: 10 }, (_, index) => index);
    const puts = await Promise.all(ten.map((n) => owner.put(`/tasks/${id}`, { title: `title ${n}` })));
    expect(puts.map(({ status }) => status)).toEqual(ten.map(() => 200));
    const moves = await Promise.all(ten.map(() => owner.patch(`/tasks/${id}/state`, { state: 'IN_PROGRESS' })));
    expect(statusesOf(moves)).toEqual([200, ...Array<number>(9).fill(409)]);
    const guarded = await Promise.all(
      ten.map((n) => owner.put(`/tasks/${id}`, { title: `last ${n}` }, { 'if-match': '"12"' })),
    );
    expect(statusesOf(guarded)).toEqual([200, ...Array<number>(9).fill(412)]);
    expect(await history(id)).toHaveLength(13);
    expect(await owner.get(`/tasks/${id}`)).toMatchObject({ body: { version: 13 } });
  });

  it('are deleted with their history, but not while they run', async () => {
    const { id } = await newTask();
    await addRun(id, 'RUNNING');
    expect(await owner.delete(`/tasks/${id}`)).toMatchObject({ status: 409, body: { code: 'task.run_live' } });
    await query(server.database.url, `update runs set state = 'FAILED' where task_id = $1`, [id]);
    expect((await owner.delete(`/tasks/${id}`)).status).toBe(204);
    for (const path of [`/tasks/${id}`, `/tasks/${id}/events`]) {
      expect(await owner.get(path)).toMatchObject({ status: 404, body: { code: 'task.not_found' } });
    }
    expect(await query(server.database.url, 'select 1 from task_events where task_id = $1', [id])).toEqual([]);
  });

  it('are deleted by the dozen at once', async () => {
    const tasks = await Promise.all(Array.from({ length: 30 }, () => newTask()));
    const answers = await Promise.all(tasks.map(({ id }) => owner.delete(`/tasks/${id}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
  });

  it('follow the roles on their board', async () => {
    const { id } = await newTask();
    const [editor, viewer] = await Promise.all([member('editor'), member('viewer')]);
    const attempts = (who: ApiClient) =>
      Promise.all([
        who.get(`/boards/${board}`),
        who.get(`/boards/${board}/tasks`),
        who.get(`/tasks/${id}`),
        who.get(`/tasks/${id}/events`),
        who.post(`/boards/${board}/tasks`, { title: 'x', description: 'x' }),
        who.put(`/tasks/${id}`, { priority: 1 }),
        who.patch(`/tasks/${id}/state`, { state: 'CANCELLED' }), // legal for nobody: 409 for who may ask
        who.put(`/boards/${board}`, { description: 'x' }),
      ]);
    const statuses = async (who: ApiClient) => (await attempts(who)).map(({ status }) => status);
    expect(await statuses(viewer)).toEqual([200, 200, 200, 200, 403, 403, 403, 403]);
    expect(await statuses(editor)).toEqual([200, 200, 200, 200, 201, 200, 409, 403]);
    expect(await statuses(outsider)).toEqual(Array(8).fill(404));
    expect(await statuses(new ApiClient(() => server.url))).toEqual(Array(8).fill(401));
    expect(await statuses(admin)).toEqual([200, 200, 200, 200, 201, 200, 409, 200]);
    expect(await viewer.delete(`/tasks/${id}`)).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
    expect(await outsider.delete(`/tasks/${id}`)).toMatchObject({ status: 404, body: { code: 'task.not_found' } });
  });
});

describe('lists of tasks', () => {
  let big: string;
  let ids: string[];

  beforeAll(async () => {
    big = (await owner.post<BoardBody>('/boards', { name: 'Big' })).body.id;
    for (let n = 0; n < 23; n++) {
      await newTask(
        { title: `Number ${n}`, description: '50%_done\\', priority: n % 3, agent_type: n % 2 ? 'demo-agent' : null },
        big,
      );
    }
    const rows = await query<{ id: string }>(
      server.database.url,
      'select id from tasks where board_id = $1 order by created_at desc, id desc',
      [big],
    );
    ids = rows.map(({ id }) => id);
  });

  const list = (search: string) =>
    owner.get<{ tasks: TaskBody[]; total: number; next_cursor: string | null }>(`/boards/${big}/tasks?${search}`);

  it('go on by cursor and by offset to the last one', async () => {
    const byCursor: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const { body } = await list(`limit=5${cursor && `&cursor=${cursor}`}`);
      expect(body.total).toBe(23);
      byCursor.push(...body.tasks.map(({ id }) => id));
      cursor = body.next_cursor;
    }
    expect(byCursor).toEqual(ids);
    const byOffset = await Promise.all([0, 5, 10, 15, 20].map((offset) => list(`limit=5&offset=${offset}`)));
    expect(byOffset.flatMap(({ body }) => body.tasks.map(({ id }) => id))).toEqual(ids);
  });

  it('are not shifted by new tasks between two pages', async () => {
    const first = await list('limit=20');
    const extra = await newTask({}, big);
    const second = await list(`limit=20&cursor=${first.body.next_cursor}`);
    expect(second.body.tasks.map(({ id }) => id)).toEqual(ids.slice(20));
    await owner.delete(`/tasks/${extra.id}`);
  });

  it.each([
    ['priority=2', 7],
    ['agent_type=demo-agent', 11],
    ['agent_type=demo-agent&priority=1', 4],
    ['q=NUMBER%202', 4],
    ['q=%25_d', 23],
    ['q=done%5C', 23],
    ['q=one', 0],
    ['q=5_', 23],
    ['state=TODO', 23],
    ['state=IN_PROGRESS,BLOCKED', 0],
    ['state=TODO&state=BLOCKED', 23],
    ['offset=1000', 23],
  ])('%s finds %i', async (search, total) => {
    expect((await list(search)).body.total).toBe(total);
  });

  it.each([
    'limit=0',
    'limit=201',
    'limit=x',
    'limit=',
    'limit=1&limit=2',
    'offset=-1',
    'cursor=x',
    'cursor=x&offset=1',
    'state=DONE',
    'priority=x',
    'q=%00',
    'colour=red',
    'toString=1',
  ])('%s is refused', async (search) => {
    expect(await list(search)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it('page through a history', async () => {
    const { id } = await newTask();
    for (const priority of [1, 2, 3, 4]) await owner.put(`/tasks/${id}`, { priority });
    const page = (search: string) =>
      owner.get<{ events: EventBody[]; total: number; next_cursor: string | null }>(`/tasks/${id}/events?${search}`);
    const first = await page('limit=3');
    const second = await page(`limit=3&cursor=${first.body.next_cursor}`);
    expect([first.body.total, second.body.next_cursor]).toEqual([5, null]);
    expect([...first.body.events, ...second.body.events]).toEqual(await history(id));
  });

  it('of a board with a random id are not found', async () => {
    expect(await owner.get(`/boards/${randomUUID()}/tasks`)).toMatchObject({
      status: 404,
      body: { code: 'board.not_found' },
    });
  });
});
