import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { hearRuns } from '../support/run-news.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface LimitBody {
  scope: string;
  subject: string;
  name: string | null;
  max_running: number | null;
  weight: number | null;
  running: number | null;
}

interface QueueBody {
  tasks: {
    task_id: string;
    position: number | null;
    estimated_start: string | null;
    estimate_confidence: string;
    waiting_for: { reason: string; message: string; limit: { scope: string; name: string | null } | null };
  }[];
  total: number;
}

let server: TestServer;
let admin: TestUser;
let member: TestUser;
let board: string;

beforeAll(async () => {
  server = await TestServer.start({ DOCKER_HOST: 'unix:///nowhere/docker.sock', KANDEV_MAX_CONCURRENT_RUNS: '2' });
  admin = await server.newUser('admin');
  member = await server.newUser('member');
  await admin.createAgentType({ name: 'waiter', runtime: 'process', command: ['sh', '-c', 'exec sleep 600'] });
  board = await member.createBoard('Website');
});

afterAll(() => server.dispose());

const limits = async (user: TestUser) =>
  (await user.must<{ limits: LimitBody[] }>(200, 'GET', '/orchestrator/limits')).limits;
const setLimit = (scope: string, subject: string, body: object) =>
  admin.must<LimitBody>(200, 'PUT', `/orchestrator/limits/${scope}/${encodeURIComponent(subject)}`, body);
const queue = () => member.must<QueueBody>(200, 'GET', '/orchestrator/queue');
const waitingFor = async (task: string) =>
  (await member.must<{ waiting_for: object | null }>(200, 'GET', `/orchestrator/tasks/${task}/status`)).waiting_for;

async function start(): Promise<string> {
  const { id } = await member.createTask(board, { agent_type: 'waiter' });
  await member.must(202, 'POST', `/orchestrator/tasks/${id}/start`);
  return id;
}

async function stop(task: string): Promise<void> {
  await member.must(200, 'POST', `/orchestrator/tasks/${task}/stop`, { force: true });
  await member.untilRun(task, ['CANCELLED']);
}

describe('limits', () => {
  it('are set, shown and taken away by administrators', async () => {
    const expected = { scope: 'board', subject: board, name: 'Website', max_running: 3, weight: 2, running: 0 };
    expect(await setLimit('board', board.toUpperCase(), { max_running: 3, weight: 2 })).toMatchObject(expected);
    expect(await setLimit('user', admin.userId, { max_running: null })).toMatchObject({
      ...{ name: 'admin', max_running: null, weight: null },
    });
    expect(await setLimit('server', '*', { max_running: 50 })).toMatchObject({ name: null, running: 0 });
    expect(await setLimit('agent_type', 'waiter', { max_running: 9 })).toMatchObject({ name: 'waiter' });
    expect((await limits(admin)).map(({ scope }) => scope)).toEqual(['server', 'agent_type', 'board', 'user']);
    expect((await limits(member)).map(({ scope }) => scope)).toEqual(['server', 'agent_type', 'board']);
    const { events } = await admin.must<{ events: { data: object; subject_id: string | null }[] }>(
      ...([200, 'GET', '/audit?action=run_limit.set'] as const),
    );
    expect(events.at(-1)).toMatchObject({ subject_id: board, data: { scope: 'board', max_running: 3, before: null } });
    for (const { scope, subject } of await limits(admin))
      await admin.must(204, 'DELETE', `/orchestrator/limits/${scope}/${encodeURIComponent(subject)}`);
    expect(await limits(admin)).toEqual([]);
  });

  it('are of what there is, in numbers that make sense', async () => {
    const nobody = crypto.randomUUID();
    const put = async (path: string, body: object, user = admin) => {
      const answer = await user.put<{ code: string }>(`/orchestrator/limits/${path}`, body);
      return [answer.status, answer.body.code];
    };
    expect(await put('galaxy/*', { max_running: 1 })).toEqual([400, 'request.invalid']);
    expect(await put(`board/${board}`, { max_running: -1 })).toEqual([400, 'request.invalid']);
    expect(await put(`board/${board}`, { weight: 0 })).toEqual([400, 'request.invalid']);
    expect(await put('server/*', { weight: 2 })).toEqual([400, 'request.invalid']);
    expect(await put('server/here', { max_running: 1 })).toEqual([404, 'run_limit.not_found']);
    expect(await put(`board/${nobody}`, { max_running: 1 })).toEqual([404, 'board.not_found']);
    expect(await put('user/somebody', { max_running: 1 })).toEqual([404, 'user.not_found']);
    expect(await put(`host/${nobody}`, { max_running: 1 })).toEqual([404, 'host.not_found']);
    expect(await put('agent_type/none', { max_running: 1 })).toEqual([404, 'agent_type.not_found']);
    expect(await put(`board/${board}`, { max_running: 1 }, member)).toEqual([403, 'run_limit.forbidden']);
    const removed = await admin.send<{ code: string }>('DELETE', `/orchestrator/limits/board/${board}`);
    expect([removed.status, removed.body.code]).toEqual([404, 'run_limit.not_found']);
  });
});

describe('a run in the queue', () => {
  it('says what holds it, and starts at once when an administrator lets it', async () => {
    await setLimit('board', board, { max_running: 1 });
    const [first, second] = [await start(), await start()];
    await member.untilRun(first, ['RUNNING']);
    const held = {
      reason: 'limit',
      limit: { scope: 'board', name: 'Website', max_running: 1, running: 1 },
      position: 1,
    };
    expect(await waitingFor(second)).toMatchObject(held);
    const { tasks, total } = await queue();
    expect([total, tasks.length]).toEqual([1, 1]);
    expect(tasks[0]).toMatchObject({
      ...{ task_id: second, position: 1, estimated_start: null, estimate_confidence: 'none', waiting_for: held },
    });
    expect((await limits(admin)).find(({ scope }) => scope === 'board')).toMatchObject({ running: 1 });
    // What else would be told has been told by now: that the type's needs were copied.
    await until('the needs of the type to be copied', async () => {
      const needs = await query(server.database.url, `select from agent_type_needs where agent_type = 'waiter'`);
      return needs.length > 0;
    });
    const news = await hearRuns(server.database.url);
    await admin.must(204, 'DELETE', `/orchestrator/limits/board/${board}`);
    await news.told(''); // the dispatcher need not poll for it
    await news.close();
    await member.untilRun(second, ['RUNNING']);
    expect(await waitingFor(second)).toBeNull();
    const third = await start();
    expect(await waitingFor(third)).toMatchObject({ reason: 'host', host: { problem: 'full' }, position: 1 });
    for (const task of [third, first, second]) await stop(task);
  });

  it('is counted in the status and in the metrics', async () => {
    await setLimit('server', '*', { max_running: 0 });
    const task = await start();
    const status = await member.must<object>(200, 'GET', '/orchestrator/status');
    expect(status).toMatchObject({
      ...{ status: 'running', queued_tasks: 1, queued: { ready: 1 }, hosts: { up: 1, draining: 0, down: 0 } },
      capacity: { slots: 2, running: 0, reserved_memory_bytes: 0 },
    });
    const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
    await until('the queue to be counted', async () =>
      (await metrics()).includes('kandev_queue_runs{agent_type="waiter",state="ready"} 1'),
    );
    expect(await metrics()).toMatch(/kandev_claims_total\{agent_type="waiter"\} [23]\n/);
    expect(await metrics()).toMatch(/kandev_queue_wait_seconds_count\{agent_type="waiter"\} [23]\n/);
    expect(await metrics()).toMatch(/kandev_queue_oldest_wait_seconds\{agent_type="waiter"\} \d/);
    await stop(task);
  });
});
