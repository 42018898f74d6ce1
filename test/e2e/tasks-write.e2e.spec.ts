import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { statusesOf, type Answer, type ProblemBody } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface TaskBody {
  id: string;
  title: string;
  state: string;
  version: number;
  depends_on: string[];
  archived_at: string | null;
  [field: string]: unknown;
}

interface BulkBody {
  results: { task_id: string; ok: boolean; version: number | null; code: string | null; detail: string | null }[];
  succeeded: number;
  failed: number;
}

interface EventBody {
  event_type: string;
  old_state: string | null;
  new_state: string | null;
  metadata: { reason?: string; changes?: Record<string, { from: unknown; to: unknown }> } | null;
  created_by: string | null;
}

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

let server: TestServer;
let admin: TestUser;
let owner: TestUser;
let board: string;

beforeAll(async () => {
  server = await TestServer.start({ RATE_LIMIT_PER_MINUTE: '0' });
  admin = await server.newUser();
  owner = await server.newUser();
});
afterAll(() => server.dispose());

beforeEach(async () => {
  board = await owner.createBoard();
});

const times = <T>(n: number, make: (index: number) => T): T[] => Array.from({ length: n }, (_, index) => make(index));

async function newTask(fields: object = {}, on = board): Promise<TaskBody> {
  const body = { title: 'A task', description: 'Do it', ...fields };
  return owner.must<TaskBody>(201, 'POST', `/boards/${on}/tasks`, body);
}

const newTasks = (n: number, fields: object = {}) => Promise.all(times(n, () => newTask(fields)));

const read = (id: string) => owner.must<TaskBody>(200, 'GET', `/tasks/${id}`);

const dependOn = (id: string, ...depends_on: string[]) => owner.put<TaskBody>(`/tasks/${id}`, { depends_on });

const move = (id: string, state: string) => owner.patch(`/tasks/${id}/state`, { state });

const complete = async (id: string) => {
  await owner.must(200, 'PATCH', `/tasks/${id}/state`, { state: 'IN_PROGRESS' });
  await owner.must(200, 'PATCH', `/tasks/${id}/state`, { state: 'COMPLETED' });
};

const bulk = (body: object, headers?: Record<string, string>) =>
  owner.post<BulkBody>(`/boards/${board}/tasks/bulk`, body, headers);

async function history(id: string): Promise<EventBody[]> {
  return (await owner.must<{ events: EventBody[] }>(200, 'GET', `/tasks/${id}/events`)).events;
}

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(server.database.url, sql, values);

/** A run as another server holds it: ours leaves it alone, unless somebody stops it. */
async function addRun(task: string, state = 'RUNNING'): Promise<void> {
  await rows(
    `insert into runs (id, task_id, board_id, agent_type, state, host_id, lease_owner, lease_expires_at)
     select gen_random_uuid(), id, board_id, 'demo-agent', $2, gen_random_uuid(), gen_random_uuid(), now() + interval '1 hour'
     from tasks where id = $1`,
    [task, state],
  );
}

/** Ids of tasks that have a process of an agent on this machine. */
function tasksWithProcess(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const found = /KANDEV_TASK_ID=([0-9a-f-]{36})/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'));
        return found?.[1] ?? [];
      } catch {
        return []; // ended meanwhile
      }
    });
}

describe('the same request sent twice', () => {
  it('makes one board and one task, whoever of many comes first', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const boards = await Promise.all(times(20, () => owner.post('/boards', { name: 'Once' }, key)));
    expect(new Set(boards.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(boards.map(({ body }) => body['id'])).size).toBe(1);
    const body = { title: 'Once', description: 'x', metadata: { b: 1, a: [2] } };
    const taskKey = { 'idempotency-key': randomUUID() };
    const tasks = await Promise.all(times(20, () => owner.post<TaskBody>(`/boards/${board}/tasks`, body, taskKey)));
    for (const task of tasks) expect(task).toMatchObject({ status: 201, body: tasks[0]?.body });
    expect(new Set(tasks.map(({ headers }) => headers.get('etag')))).toEqual(new Set(['"1"']));
    expect(await rows('select id from tasks where board_id = $1', [board])).toEqual([{ id: tasks[0]?.body.id }]);
    expect(await history(tasks[0]?.body.id ?? '')).toHaveLength(1);
    const other = await owner.post(`/boards/${board}/tasks`, { ...body, title: 'Other' }, taskKey);
    expect(other).toMatchObject({ status: 409, body: { code: 'idempotency.key_reused' } });
    // The keys of somebody else are their own.
    const theirs = await admin.post<TaskBody>(`/boards/${board}/tasks`, body, taskKey);
    expect(theirs.body.id).not.toBe(tasks[0]?.body.id);
  });

  it('counts as new where the first one failed', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const path = `/boards/${board}/tasks`;
    const wrong = { title: 'x', description: 'x', agent_type: 'nobody-has-this' };
    expect(await owner.post(path, wrong, key)).toMatchObject({ status: 404, body: { code: 'agent_type.not_found' } });
    expect(await owner.post(path, { ...wrong, agent_type: null }, key)).toMatchObject({ status: 201 });
    expect(await owner.post(path, wrong, key)).toMatchObject({ status: 409, body: { code: 'idempotency.key_reused' } });
  });

  it('does a bulk once', async () => {
    const task = await newTask();
    const key = { 'idempotency-key': randomUUID() };
    const ask = () => bulk({ action: 'set_state', task_ids: [task.id], state: 'IN_PROGRESS' }, key);
    const answers = await Promise.all(times(5, ask));
    for (const { body } of answers) expect(body).toMatchObject({ succeeded: 1, results: [{ version: 2 }] });
    expect(await history(task.id)).toHaveLength(2);
  });

  it('is the one that is done, of two with the same If-Match', async () => {
    for (const _ of times(5, () => 0)) {
      const { id } = await newTask();
      const etag = { 'if-match': '"1"' };
      const answers = await Promise.all([
        owner.put(`/tasks/${id}`, { title: 'left' }, etag),
        owner.put(`/tasks/${id}`, { title: 'right' }, etag),
        owner.post(`/tasks/${id}/archive`, undefined, etag),
      ]);
      expect(statusesOf(answers)).toEqual([200, 412, 412]);
      expect(await read(id)).toMatchObject({ version: 2 });
    }
  });
});

describe('agent types of tasks', () => {
  it('have to be there', async () => {
    const { id } = await newTask();
    const unknown = { agent_type: 'nobody-has-this' };
    expect(await owner.put(`/tasks/${id}`, unknown)).toMatchObject({
      status: 404,
      body: { code: 'agent_type.not_found' },
    });
    expect(await owner.put(`/tasks/${id}`, { agent_type: 'demo-agent' })).toMatchObject({ status: 200 });
    expect((await history(id)).at(-1)?.metadata?.changes).toEqual({ agent_type: { from: null, to: 'demo-agent' } });
  });

  it('are needed for auto_start, and have to be startable', async () => {
    const path = `/boards/${board}/tasks`;
    const task = { title: 'x', description: 'x', auto_start: true };
    expect(await owner.post(path, task)).toMatchObject({ status: 400, body: { errors: [{ field: 'agent_type' }] } });
    const unknown = await owner.post(path, { ...task, agent_type: 'nobody-has-this' });
    expect(unknown).toMatchObject({ status: 404, body: { code: 'agent_type.not_found' } });
    const name = `off-${randomUUID().slice(0, 8)}`;
    await admin.createAgentType({ name, enabled: false });
    const disabled = await owner.post(path, { ...task, agent_type: name });
    expect(disabled).toMatchObject({ status: 409, body: { code: 'agent_type.disabled' } });
    expect(await rows('select 1 from tasks where board_id = $1', [board])).toEqual([]);
    // Without it nothing is started, so it does not matter.
    expect(await owner.post(path, { ...task, auto_start: false, agent_type: name })).toMatchObject({ status: 201 });
  });

  it('start by themselves with auto_start', async () => {
    const name = `quick-${randomUUID().slice(0, 8)}`;
    await admin.createAgentType({ name, runtime: 'process', command: ['true'] });
    const task = await newTask({ agent_type: name, auto_start: true });
    await owner.untilTask(task.id, ['COMPLETED']);
    expect(await rows('select 1 from runs where task_id = $1', [task.id])).toHaveLength(1);
  });
});

describe('dependencies', () => {
  it('are given, replaced and taken away, with before and after in the history', async () => {
    const [a, b] = (await newTasks(2)) as [TaskBody, TaskBody];
    const c = await newTask({ depends_on: [b.id, a.id].toSorted().toReversed() });
    const both = [a.id, b.id].toSorted();
    expect(c).toMatchObject({ depends_on: both, version: 1 });
    expect(await read(c.id)).toEqual(c);
    expect(await dependOn(c.id, ...both)).toMatchObject({ status: 200, body: { version: 1 } });
    expect(await dependOn(c.id, b.id.toUpperCase())).toMatchObject({ body: { depends_on: [b.id], version: 2 } });
    expect(await owner.put(`/tasks/${c.id}`, { title: 'New', depends_on: [] })).toMatchObject({
      body: { depends_on: [], version: 3, title: 'New' },
    });
    expect((await history(c.id)).slice(1).map(({ metadata }) => metadata?.changes)).toEqual([
      { depends_on: { from: both, to: [b.id] } },
      { title: { from: 'A task', to: 'New' }, depends_on: { from: [b.id], to: [] } },
    ]);
  });

  it('are of the same board, and nothing is told of others', async () => {
    const [a, b] = (await newTasks(2)) as [TaskBody, TaskBody];
    const elsewhere = await newTask({}, await owner.createBoard());
    const wrong = [a.id, randomUUID(), elsewhere.id];
    const errors = ['depends_on[1]', 'depends_on[2]'].map((field) => ({
      field,
      message: 'is not a task of this board',
    }));
    expect(await dependOn(b.id, ...wrong)).toMatchObject({ status: 400, body: { code: 'request.invalid', errors } });
    const made = await owner.post(`/boards/${board}/tasks`, { title: 'x', description: 'x', depends_on: wrong });
    expect(made).toMatchObject({ status: 400, body: { code: 'request.invalid', errors } });
    expect(await read(b.id)).toMatchObject({ version: 1, depends_on: [] });
  });

  it.each([
    ['no list', randomUUID()],
    ['null', null],
    ['no UUIDs', ['x']],
    ['one twice', ['019ac1a5-7c1e-7000-8000-000000000000', '019AC1A5-7C1E-7000-8000-000000000000']],
    ['too many', Array.from({ length: 101 }, () => randomUUID())],
  ])('are refused as %s', async (_, depends_on) => {
    const { id } = await newTask();
    const answer = await owner.put(`/tasks/${id}`, { depends_on });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: 'depends_on' }] } });
  });

  it('never make a cycle, and the refusal names it', async () => {
    const [a, b, c] = (await Promise.all(['One', 'Two', 'Three'].map((title) => newTask({ title })))) as [
      TaskBody,
      TaskBody,
      TaskBody,
    ];
    const cycle = (...path: TaskBody[]) => ({
      status: 409,
      body: { code: 'task.dependency_cycle', path: path.map(({ id }) => id) },
    });
    expect(await dependOn(a.id, a.id)).toMatchObject(cycle(a, a));
    await dependOn(a.id, b.id);
    expect(await dependOn(b.id, a.id)).toMatchObject(cycle(b, a, b));
    await dependOn(b.id, c.id);
    const refused = await dependOn(c.id, a.id);
    expect(refused).toMatchObject(cycle(c, a, b, c));
    expect((refused.body as unknown as ProblemBody).detail).toContain('“Three” → “One” → “Two” → “Three”');
    expect((await read(c.id)).depends_on).toEqual([]);
    // Whoever goes away with the same change closes no circle.
    expect(await dependOn(b.id)).toMatchObject({ status: 200 });
    expect(await dependOn(c.id, a.id)).toMatchObject({ status: 200 });
  });

  it('never make a cycle of two halves written at once', async () => {
    for (const _ of times(15, () => 0)) {
      const [a, b, c] = (await newTasks(3)) as [TaskBody, TaskBody, TaskBody];
      const pair = await Promise.all([dependOn(a.id, b.id), dependOn(b.id, a.id)]);
      expect(statusesOf(pair)).toEqual([200, 409]);
      await Promise.all([dependOn(a.id), dependOn(b.id)]);
      const circle = await Promise.all([dependOn(a.id, b.id), dependOn(b.id, c.id), dependOn(c.id, a.id)]);
      expect(statusesOf(circle)).toEqual([200, 200, 409]);
    }
  });

  it('are found quickly in a graph of very many ways', async () => {
    const tasks = await newTasks(40);
    const ids = tasks.map(({ id }) => id);
    // Each depends on the ten before it: millions of ways lead from the last to the first.
    for (const [index, id] of ids.entries()) await dependOn(id, ...ids.slice(Math.max(0, index - 10), index));
    expect(await dependOn(ids[0] ?? '', ids.at(-1) ?? '')).toMatchObject({
      status: 409,
      body: { code: 'task.dependency_cycle' },
    });
  });

  it('keep a card from being put into progress by hand', async () => {
    const first = await newTask({ title: 'First' });
    const second = await newTask({ depends_on: [first.id] });
    expect(await move(second.id, 'IN_PROGRESS')).toMatchObject({
      status: 409,
      body: {
        code: 'task.dependencies_open',
        waiting_for: [{ task_id: first.id, title: 'First', state: 'TODO' }],
      },
    });
    await complete(first.id);
    await owner.must(200, 'POST', `/tasks/${first.id}/archive`); // stays what it is for its dependents
    expect(await move(second.id, 'IN_PROGRESS')).toMatchObject({ status: 200 });
    await owner.must(200, 'PATCH', `/tasks/${second.id}/state`, { state: 'BLOCKED' });
    const third = await newTask();
    await dependOn(second.id, first.id, third.id);
    expect(await move(second.id, 'IN_PROGRESS')).toMatchObject({
      status: 409,
      body: { waiting_for: [{ task_id: third.id }] },
    });
    expect(await move(second.id, 'COMPLETED')).toMatchObject({ body: { code: 'task.illegal_transition' } });
  });

  it('go with the task that is deleted, which changes those that had them', async () => {
    const [a, b] = (await newTasks(2)) as [TaskBody, TaskBody];
    const dependents = await newTasks(3, { depends_on: [a.id, b.id] });
    await owner.must(204, 'DELETE', `/tasks/${a.id}`);
    for (const { id } of dependents) {
      expect(await read(id)).toMatchObject({ depends_on: [b.id], version: 2 });
      expect((await history(id)).at(-1)).toMatchObject({
        ...{ event_type: 'task.updated', created_by: owner.userId },
        metadata: { changes: { depends_on: { from: [a.id, b.id].toSorted(), to: [b.id] } } },
      });
    }
  });

  it('come and go at once with the tasks they lead to', async () => {
    for (const _ of times(10, () => 0)) {
      const [a, b, c] = (await newTasks(3)) as [TaskBody, TaskBody, TaskBody];
      const answers: Answer<unknown>[] = await Promise.all([
        dependOn(c.id, a.id, b.id),
        owner.delete(`/tasks/${a.id}`),
        bulk({ action: 'delete', task_ids: [b.id, a.id] }),
        owner.post(`/boards/${board}/tasks`, { title: 'x', description: 'x', depends_on: [b.id, a.id] }),
        bulk({ action: 'archive', task_ids: [c.id, b.id, a.id] }),
      ]);
      for (const { status } of answers) expect(status).toBeLessThan(500);
      expect((await read(c.id)).depends_on).toEqual([]);
    }
  });
});

describe('the archive', () => {
  it('takes tasks in and out, once, with a line of history', async () => {
    const { id } = await newTask();
    const archive = () => owner.post<TaskBody>(`/tasks/${id}/archive`);
    const first = await archive();
    expect(first).toMatchObject({ status: 200, body: { archived_at: TIME, version: 2, state: 'TODO' } });
    expect(first.headers.get('etag')).toBe('"2"');
    expect((await archive()).body).toEqual(first.body);
    expect(await read(id)).toEqual(first.body);
    const unarchive = () => owner.post<TaskBody>(`/tasks/${id}/unarchive`);
    expect(await unarchive()).toMatchObject({ status: 200, body: { archived_at: null, version: 3 } });
    expect(await unarchive()).toMatchObject({ status: 200, body: { archived_at: null, version: 3 } });
    const { archived_at } = first.body;
    expect((await history(id)).slice(1).map(({ metadata }) => metadata?.changes)).toEqual([
      { archived_at: { from: null, to: archived_at } },
      { archived_at: { from: archived_at, to: null } },
    ]);
    expect(await owner.post(`/tasks/${id}/archive`, undefined, { 'if-match': '"1"' })).toMatchObject({ status: 412 });
  });

  it('keeps them from being changed, moved and started', async () => {
    const { id } = await newTask({ agent_type: 'demo-agent' });
    await owner.must(200, 'POST', `/tasks/${id}/archive`);
    const refused = { status: 409, body: { code: 'task.archived' } };
    expect(await owner.put(`/tasks/${id}`, { title: 'New' })).toMatchObject(refused);
    expect(await move(id, 'IN_PROGRESS')).toMatchObject(refused);
    expect(await owner.post(`/orchestrator/tasks/${id}/start`, {})).toMatchObject(refused);
    expect(await bulk({ action: 'set_state', task_ids: [id], state: 'IN_PROGRESS' })).toMatchObject({
      body: { failed: 1, results: [{ code: 'task.archived' }] },
    });
    await owner.must(200, 'POST', `/tasks/${id}/unarchive`);
    expect(await owner.put(`/tasks/${id}`, { title: 'New' })).toMatchObject({ status: 200 });
    await owner.must(200, 'POST', `/tasks/${id}/archive`);
    await owner.must(204, 'DELETE', `/tasks/${id}`);
  });

  it('takes no task with a live run', async () => {
    const { id } = await newTask();
    await addRun(id);
    expect(await owner.post(`/tasks/${id}/archive`)).toMatchObject({ status: 409, body: { code: 'task.run_live' } });
    await rows(`update runs set state = 'FAILED' where task_id = $1`, [id]);
    expect(await owner.post(`/tasks/${id}/archive`)).toMatchObject({ status: 200 });
  });
});

describe('deleting what runs', () => {
  const sleeper = `sleeper-${randomUUID().slice(0, 8)}`;

  beforeAll(() => admin.createAgentType({ name: sleeper, runtime: 'process', command: ['sleep', '300'] }));

  const start = (id: string) => owner.post(`/orchestrator/tasks/${id}/start`, {});

  it('is refused, unless it is stopped first', async () => {
    const { id } = await newTask({ agent_type: sleeper });
    expect((await start(id)).status).toBe(202);
    await owner.untilRun(id, ['RUNNING']);
    // Its run changes the card twice: into progress, and who works on it.
    const { version } = await until('the card to have followed its run', async () => {
      const task = await read(id);
      return task.state === 'IN_PROGRESS' && task.assigned_agent_id !== null && task;
    });
    expect(await owner.delete(`/tasks/${id}`)).toMatchObject({ status: 409, body: { code: 'task.run_live' } });
    const forced = `/tasks/${id}?force=true`;
    expect(await owner.delete(forced, { 'if-match': `"${version + 1000}"` })).toMatchObject({ status: 412 });
    expect(tasksWithProcess()).toContain(id);
    // Stopping changes the task, which is no reason to refuse what was right when it was asked for.
    expect((await owner.delete(forced, { 'if-match': `"${version}"` })).status).toBe(204);
    expect(await owner.get(`/tasks/${id}`)).toMatchObject({ status: 404 });
    expect(tasksWithProcess()).not.toContain(id);
  });

  it('stops the runs of a whole board, those that wait too', async () => {
    const tasks = await newTasks(7, { agent_type: sleeper });
    for (const { id } of tasks) expect((await start(id)).status).toBe(202);
    await until('some to run', () => tasks.some(({ id }) => tasksWithProcess().includes(id)));
    const refused = await owner.delete(`/boards/${board}`);
    expect(refused).toMatchObject({ status: 409, body: { code: 'board.run_live' } });
    expect(new Set(refused.body['task_ids'] as string[])).toEqual(new Set(tasks.map(({ id }) => id)));
    expect((await owner.delete(`/boards/${board}?force=true`)).status).toBe(204);
    expect(await rows('select 1 from runs where board_id = $1', [board])).toEqual([]);
    const running = tasksWithProcess();
    expect(tasks.filter(({ id }) => running.includes(id))).toEqual([]);
  });

  it('stops those of a bulk, and holds up nobody meanwhile', async () => {
    const tasks = await newTasks(3, { agent_type: sleeper });
    const [a, b, c] = tasks.map(({ id }) => id) as [string, string, string];
    for (const id of [a, b]) await start(id);
    await owner.untilRun(a, ['RUNNING']);
    expect(await bulk({ action: 'delete', task_ids: [a, b, c] })).toMatchObject({
      body: { succeeded: 1, failed: 2, results: [{ code: 'task.run_live' }, { code: 'task.run_live' }, { ok: true }] },
    });
    const idle = await newTask();
    const [forced, other] = await Promise.all([
      bulk({ action: 'delete', task_ids: [a, b, c], force: true }),
      owner.delete(`/tasks/${idle.id}`),
    ]);
    expect(other.status).toBe(204);
    expect(forced.body.results.map(({ ok, code }) => code ?? ok)).toEqual([true, true, 'task.not_found']);
  });

  it.each(['false', 'maybe', '', '1'])('takes force=%s for what it is', async (force) => {
    const { id } = await newTask();
    expect((await owner.delete(`/tasks/${id}?force=${force}`)).status).toBe(force === 'false' ? 204 : 400);
  });

  it('is not in the archive, whoever of archiving and starting is faster', async () => {
    const tasks = await newTasks(20, { agent_type: sleeper });
    const ids = tasks.map(({ id }) => id);
    await Promise.all(
      ids.flatMap((id, index) => {
        const both = [() => owner.post(`/tasks/${id}/archive`), () => start(id)];
        return (index % 2 ? both : both.toReversed()).map(async (ask) => {
          const { status, body } = await ask();
          if (status !== 200 && status !== 202)
            expect(['task.run_live', 'task.archived']).toContain((body as { code?: string }).code);
        });
      }),
    );
    const odd = `select t.id from tasks t join runs r on r.task_id = t.id
      where t.board_id = $1 and t.archived_at is not null and r.state not in ('COMPLETED', 'FAILED', 'CANCELLED')`;
    expect(await rows(odd, [board])).toEqual([]);
    expect(await bulk({ action: 'delete', task_ids: ids, force: true })).toMatchObject({ body: { succeeded: 20 } });
  });

  it('races with starting, and leaves neither run nor process of a deleted task', async () => {
    const seed = Number(process.env['KANDEV_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`deletion against start: KANDEV_TEST_SEED=${seed}`);
    const random = seeded(seed);
    const deleted: string[] = [];
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    for (let round = 0; round < 10; round++) {
      const tasks = await newTasks(5, { agent_type: sleeper });
      await Promise.all(
        tasks.map(async ({ id }) => {
          const force = random() < 0.7;
          const [before, between] = [random() * 20, random() * 40];
          const starting = pause(before).then(() =>
            random() < 0.3 ? owner.patch(`/tasks/${id}/state`, { state: 'IN_PROGRESS' }) : start(id),
          );
          const again = pause(before + between).then(() => start(id));
          const deleting = pause(between).then(() => owner.delete(`/tasks/${id}?force=${force}`));
          const answers = await Promise.all([starting, again, deleting]);
          for (const { status } of answers) expect(status).toBeLessThan(500);
          if ((await deleting).status === 204) deleted.push(id);
          else expect((await owner.delete(`/tasks/${id}?force=true`)).status).toBe(204);
          deleted.push(id);
        }),
      );
    }
    expect(await rows('select 1 from runs where task_id = any($1)', [deleted])).toEqual([]);
    await until('the processes of deleted tasks to be gone', () => {
      const running = new Set(tasksWithProcess());
      return deleted.every((id) => !running.has(id));
    });
  });
});

describe('a card moved faster than its run can follow', () => {
  const stubborn = `stubborn-${randomUUID().slice(0, 8)}`;
  const moveThrough = async (id: string, ...states: string[]) => {
    for (const state of states) expect((await move(id, state)).status).toBe(200);
  };
  const runsOf = async (id: string) =>
    (await owner.get<{ runs: { state: string }[] }>(`/orchestrator/tasks/${id}/runs`)).body.runs;

  // Takes the whole grace time to stop.
  beforeAll(() => {
    const command = ['sh', '-c', "trap '' TERM; while :; do sleep 0.2; done"];
    return admin.createAgentType({ name: stubborn, runtime: 'process', command });
  });

  it('gets a new run when the one before has ended', async () => {
    const { id } = await newTask({ agent_type: stubborn });
    await moveThrough(id, 'IN_PROGRESS');
    await owner.untilRun(id, ['RUNNING']);
    await moveThrough(id, 'CANCELLED', 'TODO', 'IN_PROGRESS');
    await until('a second run', async () => {
      const [latest, first, ...more] = await runsOf(id);
      return more.length === 0 && first?.state === 'CANCELLED' && latest?.state === 'RUNNING';
    });
    expect((await read(id)).state).toBe('IN_PROGRESS');
    expect((await owner.delete(`/tasks/${id}?force=true`)).status).toBe(204);
  });

  it('stays where it was put, and its run is stopped all the same', async () => {
    const { id } = await newTask({ agent_type: stubborn });
    await moveThrough(id, 'IN_PROGRESS');
    await owner.untilRun(id, ['RUNNING']);
    await moveThrough(id, 'CANCELLED', 'TODO');
    await owner.untilRun(id, ['CANCELLED']);
    await until(
      'the event of its end to be delivered',
      async () => (await rows('select 1 from outbox_events')).length === 0,
    );
    expect((await read(id)).state).toBe('TODO');
    expect(await runsOf(id)).toHaveLength(1);
  });
});

describe('bulk', () => {
  it('does what is allowed, and says of each task why not', async () => {
    const todo = await newTask();
    const progress = await newTask();
    await move(progress.id, 'IN_PROGRESS');
    const archived = await newTask();
    await owner.must(200, 'POST', `/tasks/${archived.id}/archive`);
    const waiting = await newTask({ depends_on: [todo.id] });
    const off = `off-${randomUUID().slice(0, 8)}`;
    await admin.createAgentType({ name: off, enabled: false });
    const unstartable = await newTask({ agent_type: off });
    const elsewhere = await newTask({}, await owner.createBoard());
    const task_ids = [elsewhere, todo, progress, archived, waiting, unstartable].map(({ id }) => id);
    const { status, body } = await bulk({ action: 'set_state', state: 'IN_PROGRESS', reason: 'all at once', task_ids });
    expect(status).toBe(200);
    expect(body).toMatchObject({ succeeded: 1, failed: 5 });
    expect(body.results.map(({ task_id }) => task_id)).toEqual(task_ids);
    expect(body.results.map(({ ok, version, code }) => (ok ? version : code))).toEqual([
      ...['task.not_found', 2, 'task.illegal_transition', 'task.archived', 'task.dependencies_open'],
      'agent_type.disabled',
    ]);
    expect(body.results[2]?.detail).toContain('BLOCKED, COMPLETED, FAILED, CANCELLED');
    expect((await history(todo.id)).at(-1)).toMatchObject({
      ...{ event_type: 'task.state_changed', old_state: 'TODO', new_state: 'IN_PROGRESS', created_by: owner.userId },
      metadata: { reason: 'all at once' },
    });
    expect(await read(waiting.id)).toMatchObject({ state: 'TODO', version: 1 });
  });

  it('starts agents as a single move does', async () => {
    const name = `quick-${randomUUID().slice(0, 8)}`;
    await admin.createAgentType({ name, runtime: 'process', command: ['true'] });
    const tasks = await newTasks(3, { agent_type: name });
    const task_ids = tasks.map(({ id }) => id);
    expect(await bulk({ action: 'set_state', task_ids, state: 'IN_PROGRESS' })).toMatchObject({
      body: { succeeded: 3 },
    });
    for (const id of task_ids) await owner.untilTask(id, ['COMPLETED']);
  });

  it('archives, takes out and deletes', async () => {
    const tasks = await newTasks(4);
    const task_ids = tasks.map(({ id }) => id);
    await addRun(task_ids[0] ?? '');
    const first = await bulk({ action: 'archive', task_ids });
    expect(first.body.results.map(({ version, code }) => version ?? code)).toEqual(['task.run_live', 2, 2, 2]);
    expect((await bulk({ action: 'archive', task_ids: task_ids.slice(1) })).body).toMatchObject({ succeeded: 3 });
    const out = await bulk({ action: 'unarchive', task_ids });
    expect(out.body.results.map(({ version }) => version)).toEqual([1, 3, 3, 3]);
    const gone = await bulk({ action: 'delete', task_ids });
    expect(gone.body.results.map(({ ok, version, code }) => code ?? [ok, version])).toEqual([
      'task.run_live',
      ...[
        [true, null],
        [true, null],
        [true, null],
      ],
    ]);
    await rows(`update runs set state = 'FAILED' where task_id = $1`, [task_ids[0]]);
  });

  it.each([
    ['set_state without a state', { action: 'set_state' }, 'state'],
    ['a state too many', { action: 'archive', state: 'TODO' }, 'state'],
    ['an unknown action', { action: 'destroy' }, 'action'],
    ['no tasks', { action: 'archive', task_ids: [] }, 'task_ids'],
    ['too many tasks', { action: 'archive', task_ids: times(501, () => randomUUID()) }, 'task_ids'],
    ['what is no id', { action: 'archive', task_ids: ['x'] }, 'task_ids'],
    ['a text as force', { action: 'archive', force: 'yes' }, 'force'],
    ['unknown fields', { action: 'archive', version: 1 }, 'version'],
  ])('refuses %s', async (_, body, field) => {
    const answer = await bulk({ task_ids: [randomUUID()], ...body });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ field }] } });
  });

  it('leaves other boards alone, also those whose tasks depend on what is named', async () => {
    const needed = await newTask();
    const dependent = await newTask({ depends_on: [needed.id] });
    const stranger = await server.newUser();
    const foreign = await stranger.createBoard();
    const answer = await stranger.post(`/boards/${foreign}/tasks/bulk`, { action: 'delete', task_ids: [needed.id] });
    expect(answer).toMatchObject({ status: 200, body: { succeeded: 0, results: [{ code: 'task.not_found' }] } });
    expect(await read(dependent.id)).toMatchObject({ version: 1, depends_on: [needed.id] });
    expect((await owner.get<{ total: number }>(`/tasks/${dependent.id}/events`)).body.total).toBe(1);
  });

  it('follows the roles on the board', async () => {
    const { id } = await newTask();
    const viewer = await server.newUser();
    await rows(`insert into board_members (board_id, user_id, role) values ($1, $2, 'viewer')`, [board, viewer.userId]);
    const path = `/boards/${board}/tasks/bulk`;
    const body = { action: 'delete', task_ids: [id] };
    expect(await viewer.post(path, body)).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
    expect(await viewer.post(`/tasks/${id}/archive`)).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
    const stranger = await server.newUser();
    expect(await stranger.post(path, body)).toMatchObject({ status: 404, body: { code: 'board.not_found' } });
    expect(await stranger.post(`/tasks/${id}/archive`)).toMatchObject({
      status: 404,
      body: { code: 'task.not_found' },
    });
  });

  it('does 500 at once, quickly', async () => {
    await rows(
      `insert into tasks (id, board_id, title, description, created_by)
       select gen_random_uuid(), $1, 'Task ' || n, repeat('x', 2000), $2 from generate_series(1, 500) n`,
      [board, owner.userId],
    );
    const found = await rows<{ id: string }>('select id from tasks where board_id = $1', [board]);
    const task_ids = found.map(({ id }) => id);
    const took: Record<string, number> = {};
    for (const [action, state] of [['set_state', 'IN_PROGRESS'], ['archive'], ['unarchive'], ['delete']]) {
      const before = performance.now();
      const answer = await bulk({ action, state, task_ids });
      took[action ?? ''] = Math.round(performance.now() - before);
      expect(answer).toMatchObject({ status: 200, body: { succeeded: 500 } });
    }
    console.log(`500 tasks in one bulk, ms: ${JSON.stringify(took)}`);
    // Aimed at half a second; the rest is for machines that do something else as well.
    for (const ms of Object.values(took)) expect(ms).toBeLessThan(3_000);
  });

  it('does not lock up with others who want the same tasks in another order', async () => {
    const tasks = await newTasks(40);
    const ids = tasks.map(({ id }) => id);
    for (const [index, id] of ids.entries()) if (index > 20) await dependOn(id, ...ids.slice(index - 20, index - 15));
    const random = seeded(17);
    const shuffled = () =>
      ids
        .map((id) => ({ id, at: random() }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ id }) => id);
    const actions = [
      ...[
        { action: 'set_state', state: 'IN_PROGRESS' },
        { action: 'set_state', state: 'BLOCKED' },
      ],
      ...[{ action: 'archive' }, { action: 'unarchive' }],
    ];
    for (const _ of times(3, () => 0)) {
      const answers = await Promise.all(
        times(20, (index) => bulk({ ...actions[index % actions.length], task_ids: shuffled().slice(5) })),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    // And while they are deleted, in pieces that overlap, and others write single ones.
    const answers: Answer<unknown>[] = await Promise.all([
      ...times(20, () => bulk({ action: 'delete', task_ids: shuffled().slice(0, 15) })),
      ...ids.map((id) => owner.put(`/tasks/${id}`, { title: 'Other', depends_on: [] })),
      ...ids.map((id) => owner.delete(`/tasks/${id}`)),
    ]);
    for (const { status } of answers) expect(status).toBeLessThan(500);
    expect(await rows('select 1 from tasks where board_id = $1', [board])).toEqual([]);
  });
});

/** Random numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
