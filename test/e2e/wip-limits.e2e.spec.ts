import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface StatusBody {
  state: string;
  run_state: string | null;
  attempt: number | null;
}
interface BoardBody {
  version: number;
  task_counts: Record<string, number>;
  wip_limits: Record<string, number | null>;
}

let server: TestServer;
let user: TestUser;
let board: string;
/** Agents: one that works until its workspace has a file `go`, and one that is done at once. */
const AGENTS = { patient: 'until [ -e go ]; do sleep 0.05; done', quick: 'echo done' };

async function open(env: Record<string, string> = {}): Promise<void> {
  server = await TestServer.start(env);
  user = await server.newUser();
  board = await user.createBoard();
  for (const [name, script] of Object.entries(AGENTS))
    await user.createAgentType({ name, runtime: 'process', command: ['sh', '-c', script] });
}

const rows = <T extends object>(sql: string, values: unknown[] = []) => query<T>(server.database.url, sql, values);
const task = async (agent_type: keyof typeof AGENTS | null = null, fields: Record<string, unknown> = {}) =>
  (await user.createTask(board, { ...(agent_type === null ? {} : { agent_type }), ...fields })).id;
const limit = (limits: Record<string, number | null>) =>
  user.must<BoardBody>(200, 'PUT', `/boards/${board}/wip-limits`, limits);
const move = (id: string, state: string, more: object = {}) => user.patch(`/tasks/${id}/state`, { state, ...more });
const moved = (id: string, state: string) => user.must(200, 'PATCH', `/tasks/${id}/state`, { state });
const start = (id: string) => user.must(202, 'POST', `/orchestrator/tasks/${id}/start`);
const status = (id: string) => user.must<StatusBody>(200, 'GET', `/orchestrator/tasks/${id}/status`);
const letGo = (id: string) => writeFileSync(join(server.home, 'workspaces', id, 'workspace/go'), '');
const untilWaits = (id: string) =>
  until(`the run of ${id} to wait for a place`, async () => {
    const { tasks } = await user.must<{ tasks: { task_id: string; waits_for_tasks: boolean }[] }>(
      ...([200, 'GET', '/orchestrator/queue'] as const),
    );
    return tasks.some(({ task_id, waits_for_tasks }) => task_id === id && waits_for_tasks);
  });

describe('a board with limits', () => {
  beforeAll(() => open({ KANDEV_MAX_CONCURRENT_RUNS: '8' }));
  afterAll(() => server.dispose());

  it('shows them beside what is there, keeps them for its owners and by its version, and says what is wrong', async () => {
    const before = await user.must<BoardBody>(200, 'GET', `/boards/${board}`);
    expect(before.wip_limits).toEqual({ TODO: null, IN_PROGRESS: null, BLOCKED: null });
    const set = await limit({ IN_PROGRESS: 3, BLOCKED: 5 });
    expect(set).toMatchObject({ version: before.version + 1, wip_limits: { TODO: null, IN_PROGRESS: 3, BLOCKED: 5 } });
    expect(await limit({ IN_PROGRESS: 3 })).toEqual(set); // nothing has changed
    expect((await limit({ BLOCKED: null })).wip_limits).toEqual({ TODO: null, IN_PROGRESS: 3, BLOCKED: null });
    const path = `/boards/${board}/wip-limits`;
    const stale = await user.put(path, { IN_PROGRESS: 1 }, { 'if-match': `"${before.version}"` });
    expect(stale).toMatchObject({ status: 412, body: { code: 'precondition.stale' } });
    for (const wrong of [{ IN_PROGRESS: -1 }, { IN_PROGRESS: 1.5 }, { COMPLETED: 3 }, { TODO: '3' }])
      expect(await user.put(path, wrong)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    const editor = await server.newUser();
    await user.must(200, 'PUT', `/boards/${board}/members/${editor.userId}`, { role: 'editor' });
    expect(await editor.put(path, {})).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
  });

  it('refuses a person who would make it one too many, says what to do, and lets force pass', async () => {
    await limit({ TODO: null, IN_PROGRESS: 1, BLOCKED: null });
    const [first, second] = [await task(), await task()];
    await moved(first, 'IN_PROGRESS');
    const refused = await move(second, 'IN_PROGRESS');
    expect(refused).toMatchObject({
      status: 409,
      body: {
        code: 'board.wip_limit',
        detail:
          'IN_PROGRESS is full on this board: limit 1, tasks 1. Move one of them on or archive one, or have an owner raise the limit, or use force.',
        ...{ state: 'IN_PROGRESS', max_tasks: 1, tasks: 1 },
      },
    });
    expect(await move(second, 'COMPLETED')).toMatchObject({ body: { code: 'task.illegal_transition' } });
    expect(await move(second, 'IN_PROGRESS', { force: true })).toMatchObject({ status: 200 });
    const { events } = await user.must<{ events: { new_state: string; metadata: object | null }[] }>(
      ...([200, 'GET', `/tasks/${second}/events`] as const),
    );
    expect(events.at(-1)).toMatchObject({
      ...{ new_state: 'IN_PROGRESS', metadata: { over_wip_limit: { max_tasks: 1, tasks: 1 } } },
    });
    await moved(first, 'BLOCKED');
    expect(await move(first, 'IN_PROGRESS')).toMatchObject({ status: 409, body: { code: 'board.wip_limit' } });
    await moved(second, 'COMPLETED');
    await moved(first, 'IN_PROGRESS');
    await moved(first, 'COMPLETED');
  });

  it('answers for each task of many, in their order, and for new, reopened and unarchived ones', async () => {
    const ids = [await task(), await task(), await task()];
    await limit({ IN_PROGRESS: 2 });
    const bulk = (body: object) =>
      user.must<{ results: { ok: boolean; code: string | null }[] }>(200, 'POST', `/boards/${board}/tasks/bulk`, body);
    const order = [ids[2], ids[0], ids[1]];
    const some = await bulk({ action: 'set_state', task_ids: order, state: 'IN_PROGRESS' });
    expect(some.results.map(({ code }) => code)).toEqual([null, null, 'board.wip_limit']);
    const rest = await bulk({ action: 'set_state', task_ids: [ids[1]], state: 'IN_PROGRESS', force: true });
    expect(rest.results).toMatchObject([{ ok: true }]);
    await bulk({ action: 'set_state', task_ids: ids, state: 'COMPLETED' });
    const board_now = await user.must<BoardBody>(200, 'GET', `/boards/${board}`);
    const put_away = await task();
    await user.must(200, 'POST', `/tasks/${put_away}/archive`);
    await limit({ TODO: board_now.task_counts['TODO'] ?? 0 });
    const full = { status: 409, body: { code: 'board.wip_limit', state: 'TODO' } };
    expect(await user.post(`/boards/${board}/tasks`, { title: 'T', description: 'd' })).toMatchObject(full);
    expect(await move(ids[0] ?? '', 'TODO')).toMatchObject(full);
    expect(await user.post(`/tasks/${put_away}/unarchive`, undefined)).toMatchObject(full);
    expect((await bulk({ action: 'unarchive', task_ids: [put_away] })).results).toMatchObject([
      { ok: false, code: 'board.wip_limit' },
    ]);
    await limit({ TODO: null, IN_PROGRESS: null });
  });

  it('keeps runs waiting without a place of the host, and lets the first of the queue go when there is room', async () => {
    await limit({ IN_PROGRESS: 1 });
    const [works, late, soon] = [await task('patient'), await task('patient'), await task('patient')];
    await start(works);
    await user.untilRun(works, ['RUNNING']);
    await start(late);
    await start(soon);
    for (const id of [late, soon]) {
      await untilWaits(id);
      expect(await status(id)).toMatchObject({ state: 'TODO', run_state: 'QUEUED', attempt: 0 });
    }
    await user.must(200, 'PUT', `/tasks/${soon}`, { priority: 9 });
    await until('the run to follow', async () => {
      return (await rows(`select 1 from runs where task_id = $1 and priority = 9`, [soon])).length === 1;
    });
    letGo(works);
    await user.untilRun(soon, ['RUNNING']);
    await untilWaits(late);
    // A card that a person has put there takes no further place when its run comes.
    expect(await move(late, 'IN_PROGRESS', { force: true })).toMatchObject({ status: 200 });
    await user.untilRun(late, ['RUNNING']);
    for (const id of [soon, late]) {
      letGo(id);
      await user.untilTask(id, ['COMPLETED']);
    }
  });

  it('is never over its limit, also where runs are let go by mistake all the time', async () => {
    await limit({ IN_PROGRESS: 1 });
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) ids.push(await task('quick'));
    for (const id of ids) await start(id);
    await until('all of them to be done', async () => {
      await rows(`update runs set waits_for_tasks = false where state = 'QUEUED' and waits_for_tasks`);
      const left = await rows(`select 1 from tasks where id = any($1) and state <> 'COMPLETED'`, [ids]);
      return left.length === 0;
    });
    const [most] = await rows<{ tasks: number }>(
      `select max(n)::int as tasks from (
         select sum(case when new_state = 'IN_PROGRESS' then 1 else -1 end) over (order by id) as n from task_events
         where task_id = any($1) and (new_state = 'IN_PROGRESS' or old_state = 'IN_PROGRESS')) counted`,
      [ids],
    );
    expect(most).toEqual({ tasks: 1 });
    expect(await rows('select 1 from agent_instances where task_id = any($1)', [ids])).toHaveLength(6);
  });
});

describe('a run that waits for a place, when the server is killed', () => {
  it('goes back into the queue from its claim, and starts when there is room, also where nobody tells of it', async () => {
    await open({ KANDEV_FAULT_POINT: 'run.claimed' });
    try {
      await limit({ IN_PROGRESS: 1 });
      const [other, waits] = [await task(), await task('quick')];
      await user.post(`/orchestrator/tasks/${waits}/start`).catch(() => undefined); // it may die in the answer
      expect(await server.ended()).toBe('SIGKILL');
      await rows(`update tasks set state = 'IN_PROGRESS' where id = $1`, [other]); // who was faster
      server.clear('KANDEV_FAULT_POINT');
      await server.start();
      await untilWaits(waits);
      expect(await status(waits)).toMatchObject({ state: 'TODO', run_state: 'QUEUED', attempt: 0 });
      await server.kill();
      await rows(`update tasks set state = 'COMPLETED' where id = $1`, [other]);
      await rows('delete from outbox_events');
      await server.start();
      await user.untilTask(waits, ['COMPLETED']);
      expect(await status(waits)).toMatchObject({ attempt: 1 });
    } finally {
      await server.dispose();
    }
  });
});
