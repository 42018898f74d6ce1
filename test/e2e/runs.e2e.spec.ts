import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusesOf, type ApiClient } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface ReceiptBody {
  run_id: string;
  state: string;
}

let server: TestServer;
let admin: TestUser;
let member: TestUser;
let board: string;

beforeAll(async () => {
  server = await TestServer.start();
  admin = await server.newUser();
  member = await server.newUser();
  board = await member.createBoard();
  const agents = { runtime: 'process', command: ['sh', '-c', 'echo hello'] };
  await admin.createAgentType({ name: 'quick', ...agents });
  await admin.createAgentType({ name: 'slow', ...agents, command: ['sh', '-c', 'sleep 600 & wait'] });
  await admin.createAgentType({ name: 'off', ...agents, enabled: false });
});

afterAll(() => server.dispose());

const start = (user: ApiClient, taskId: string, body: unknown = {}) =>
  user.post(`/orchestrator/tasks/${taskId}/start`, body);
const unknown = '01a00000-0000-7000-8000-000000000000';

describe('starting a run', () => {
  it.each<[string, string | undefined, number, string]>([
    ['no agent type', undefined, 409, 'run.no_agent_type'],
    ['a disabled one', 'off', 409, 'agent_type.disabled'],
  ])('with %s is refused in words, and leaves the card where it is', async (_, agent_type, status, code) => {
    const task = await member.createTask(board, agent_type === undefined ? {} : { agent_type });
    const { body, ...answer } = await start(member, task.id);
    expect({ status: answer.status, code: body.code }).toEqual({ status, code });
    expect(body.detail.length).toBeGreaterThan(20);
    expect(await member.runStatus(task.id)).toMatchObject({ run_id: null, state: 'TODO' });
  });

  it('with an agent type that nobody knows is refused just so', async () => {
    const task = await member.createTask(board, { agent_type: 'quick' });
    const { status, body } = await start(member, task.id, { agent_type: 'nobody-knows-it' });
    expect({ status, code: body.code }).toEqual({ status: 404, code: 'agent_type.not_found' });
    expect(await member.runStatus(task.id)).toMatchObject({ run_id: null, state: 'TODO' });
  });

  it('by moving the card is refused just so', async () => {
    const task = await member.createTask(board, { agent_type: 'off' });
    const { status, body } = await member.patch(`/tasks/${task.id}/state`, { state: 'IN_PROGRESS' });
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'agent_type.disabled' });
    expect((await member.untilTask(task.id, ['TODO'])).version).toBe(1);
  });

  it.each<[string, unknown]>([
    ['a wrong priority', { priority: 11 }],
    ['a priority of the wrong type', { priority: '5' }],
    ['an unknown field', { host: 'other' }],
    ['an agent type with a NUL', { agent_type: 'a\0' }],
    ['no object', []],
  ])('with %s is 400', async (_, body) => {
    const task = await member.createTask(board, { agent_type: 'quick' });
    expect(await start(member, task.id, body)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it('is for those who may: a stranger learns nothing, a viewer may look', async () => {
    const task = await member.createTask(board, { agent_type: 'quick' });
    const stranger = await server.newUser();
    for (const id of [task.id, unknown]) {
      expect(await start(stranger, id)).toMatchObject({ status: 404, body: { code: 'task.not_found' } });
      expect(await stranger.get(`/orchestrator/tasks/${id}/status`)).toMatchObject({ status: 404 });
      expect(await stranger.get(`/orchestrator/tasks/${id}/logs`)).toMatchObject({ status: 404 });
      expect(await stranger.get(`/orchestrator/tasks/${id}/artifacts`)).toMatchObject({ status: 404 });
      expect(await stranger.post(`/orchestrator/tasks/${id}/stop`)).toMatchObject({ status: 404 });
    }
    expect(await start(stranger, 'not-an-id')).toMatchObject({ status: 400 });
    expect(await start(stranger.withToken(''), task.id)).toMatchObject({ status: 401 });
  });

  it('of a finished task needs force, which reopens it', async () => {
    const task = await member.startTask('quick');
    await member.untilTask(task.id, ['COMPLETED']);
    expect(await start(member, task.id)).toMatchObject({ status: 409, body: { code: 'run.task_not_startable' } });
    const trigger = (force: boolean) => member.post('/orchestrator/trigger', { task_id: task.id, force });
    expect(await trigger(false)).toMatchObject({ status: 409 });
    const first = await member.runStatus(task.id);
    expect(await trigger(true)).toMatchObject({ status: 202, body: { state: 'QUEUED' } });
    await member.untilTask(task.id, ['COMPLETED']);
    expect((await member.untilRun(task.id)).run_id).not.toBe(first.run_id);
    const { events } = await member.must<{ events: { new_state: string | null }[] }>(
      200,
      'GET',
      `/tasks/${task.id}/events`,
    );
    const states = events.map(({ new_state }) => new_state).filter((state) => state !== null);
    expect(states.slice(-5)).toEqual(['IN_PROGRESS', 'COMPLETED', 'TODO', 'IN_PROGRESS', 'COMPLETED']);
  });
});

describe('the same request sent again', () => {
  /** How many different runs the answers tell of. */
  const receipts = (answers: { body: ReceiptBody }[]) =>
    new Set(answers.map(({ body: { run_id, state } }) => `${run_id} ${state}`)).size;

  it('with its Idempotency-Key starts one run, however often and whatever has become of it', async () => {
    const task = await member.createTask(board, { agent_type: 'quick' });
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const ask = () => member.post<ReceiptBody>(`/orchestrator/tasks/${task.id}/start`, { priority: 3 }, headers);
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    expect(new Set(statusesOf(answers))).toEqual(new Set([202]));
    await member.untilTask(task.id, ['COMPLETED']);
    expect(receipts([...answers, await ask()])).toBe(1);
    const { runs, total } = await member.must<{ runs: object[]; total: number }>(
      200,
      'GET',
      `/orchestrator/tasks/${task.id}/runs`,
    );
    expect(total).toBe(1);
    expect(runs).toMatchObject([
      {
        task_id: task.id,
        state: 'COMPLETED',
        agent_type: 'quick',
        attempt: 1,
        priority: 3,
        requested_by: member.userId,
      },
    ]);
    const other = await member.post(`/orchestrator/tasks/${task.id}/start`, { priority: 4 }, headers);
    expect(other).toMatchObject({ status: 409, body: { code: 'idempotency.key_reused' } });
  });

  it('by force reopens the task once', async () => {
    const task = await member.startTask('quick');
    await member.untilTask(task.id, ['COMPLETED']);
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const ask = () => member.post<ReceiptBody>('/orchestrator/trigger', { task_id: task.id, force: true }, headers);
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    expect(new Set(statusesOf(answers))).toEqual(new Set([202]));
    expect(receipts(answers)).toBe(1);
    await member.untilRun(task.id);
    await member.untilTask(task.id, ['COMPLETED']);
    expect(receipts([...answers, await ask()])).toBe(1);
    await member.untilTask(task.id, ['COMPLETED']);
    const runs = await query(server.database.url, 'select 1 from runs where task_id = $1', [task.id]);
    expect(runs).toHaveLength(2);
  });
});

describe('who may do what with a run', () => {
  const paths = ['start', 'stop', 'pause', 'resume'] as const;

  it.each<[string, number[], number]>([
    ['viewer', [403, 403, 403, 403], 200],
    ['editor', [409, 409, 409, 409], 200],
    ['owner', [409, 409, 409, 409], 200],
    ['nobody', [404, 404, 404, 404], 404],
  ])('%s', async (role, acts, reads) => {
    // Without an agent type there is nothing to start, and so nothing to stop: 409 is past the check of access.
    const task = await member.createTask(board);
    const user = await server.newUser();
    if (role !== 'nobody') {
      const row = [board, user.userId, role];
      await query(server.database.url, 'insert into board_members (board_id, user_id, role) values ($1, $2, $3)', row);
    }
    const at = `/orchestrator/tasks/${task.id}`;
    const acted = await Promise.all(paths.map((path) => user.post(`${at}/${path}`)));
    expect(acted.map(({ status }) => status)).toEqual(acts);
    const read = await Promise.all([user.get(`${at}/status`), user.get(`${at}/runs`)]);
    expect(read.map(({ status }) => status)).toEqual([reads, reads]);
  });

  it('administrators, everything', async () => {
    const task = await member.createTask(board);
    const acted = await Promise.all(paths.map((path) => admin.post(`/orchestrator/tasks/${task.id}/${path}`)));
    expect(acted.map(({ status, body }) => [status, body.code])).toEqual([
      [409, 'run.no_agent_type'],
      ...paths.slice(1).map(() => [409, 'run.none_live']),
    ]);
  });
});

describe('a run', () => {
  it('is told phase by phase, and what an agent says in the server’s name is its own', async () => {
    const progress = (data: object) => `echo '${JSON.stringify({ type: 'progress', data })}';`;
    const says = [
      { progress: 40, message: 'half' },
      { progress: 100, message: 'cloned', source: 'server' },
    ];
    await admin.createAgentType({
      ...{ name: 'teller', runtime: 'process', command: ['sh', '-c', says.map(progress).join(' ')] },
    });
    const task = await member.createTask(board, { agent_type: 'teller' });
    await member.must(202, 'POST', `/orchestrator/tasks/${task.id}/start`);
    await member.untilRun(task.id, ['COMPLETED']);
    const sql = `select data->>'status' as status, data->>'phase' as phase from acp_messages
      where task_id = $1 and type = 'status' order by seq`;
    expect(await query(server.database.url, sql, [task.id])).toEqual([
      { status: 'PENDING', phase: null },
      { status: 'STARTING', phase: 'preparation' },
      { status: 'STARTING', phase: 'launch' },
      { status: 'RUNNING', phase: 'monitoring' },
      { status: 'COMPLETED', phase: 'clean_up' },
    ]);
    expect(await member.runStatus(task.id)).toMatchObject({ progress: 100, current_operation: 'cloned' });
  });
});

describe('pausing', () => {
  const answers = (taskId: string) =>
    Promise.all(['pause', 'resume'].map((path) => member.post(`/orchestrator/tasks/${taskId}/${path}`)));

  it('is for runs whose agent works', async () => {
    const task = await member.createTask(board, { agent_type: 'quick' });
    const waitsFor = await member.createTask(board);
    const edge = [task.id, waitsFor.id];
    await query(server.database.url, 'insert into task_dependencies (task_id, depends_on_id) values ($1, $2)', edge);
    await member.must(202, 'POST', `/orchestrator/tasks/${task.id}/start`);
    for (const { status, body } of await answers(task.id)) {
      expect({ status, code: body.code }).toEqual({ status: 409, code: 'run.illegal_transition' });
      expect(body.detail).toMatch(/QUEUED/);
    }
    await member.must(200, 'POST', `/orchestrator/tasks/${task.id}/stop`);
    for (const { status, body } of await answers(task.id))
      expect({ status, code: body.code }).toEqual({ status: 409, code: 'run.none_live' });
  });

  it('is refused for an agent without a container, and changes nothing', async () => {
    const task = await member.createTask(board, { agent_type: 'slow' });
    await member.must(202, 'POST', `/orchestrator/tasks/${task.id}/start`);
    await member.untilRun(task.id, ['RUNNING']);
    for (const { status, body } of await answers(task.id)) {
      expect({ status, code: body.code }).toEqual({ status: 501, code: 'run.pause_unsupported' });
      expect(body.detail).toMatch(/Stop the run instead/);
    }
    expect(await member.runStatus(task.id)).toMatchObject({ state: 'IN_PROGRESS', run_state: 'RUNNING' });
    await member.must(200, 'POST', `/orchestrator/tasks/${task.id}/stop`, { force: true });
    await member.untilRun(task.id, ['CANCELLED']);
  });
});

describe('the orchestrator', () => {
  it('says how it is doing', async () => {
    const status = await until('a heartbeat', async () => {
      const body = await member.must<Record<string, unknown>>(200, 'GET', '/orchestrator/status');
      return body['last_heartbeat'] !== null && body;
    });
    expect(Object.keys(status).toSorted()).toEqual(
      [
        ...[
          'active_agents',
          'capacity',
          'dead_letters',
          'degraded',
          'engine',
          'hosts',
          'last_heartbeat',
          'queued',
          'queued_tasks',
        ],
        ...['status', 'uptime_seconds'],
      ].toSorted(),
    );
    expect(status).toMatchObject({ status: 'running', active_agents: expect.any(Number) as number });
    expect(Date.now() - Date.parse(String(status['last_heartbeat']))).toBeLessThan(20_000);
  });
});

describe('stopping', () => {
  it('what does not run is a conflict', async () => {
    const task = await member.createTask(board, { agent_type: 'quick' });
    const { status, body } = await member.post(`/orchestrator/tasks/${task.id}/stop`, { reason: 'changed my mind' });
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'run.none_live' });
  });
});

describe('a card', () => {
  /** Resolves when the orchestrator has looked after the task's run once more: it extends the lease then. */
  async function nextLook(taskId: string): Promise<void> {
    const lease = async () => {
      const rows = await query<{ at: Date }>(
        server.database.url,
        'select lease_expires_at as at from runs where task_id = $1',
        [taskId],
      );
      return Number(rows[0]?.at);
    };
    const before = await lease();
    await until('the lease to be extended', async () => (await lease()) > before);
  }

  it('that a person has blocked stays blocked while its agent works on, and ends with it', async () => {
    const agents = { runtime: 'process', command: ['sh', '-c', 'echo begun; read stop; echo "$stop"'] };
    const name = await admin.createAgentType({ name: 'waits', ...agents });
    const task = await member.startTask(name);
    await member.untilRun(task.id, ['RUNNING']);
    await member.untilTask(task.id, ['IN_PROGRESS']);
    await member.must(200, 'PATCH', `/tasks/${task.id}/state`, { state: 'BLOCKED', reason: 'waiting for a decision' });
    for (let looks = 0; looks < 2; looks++) await nextLook(task.id);
    expect(await member.runStatus(task.id)).toMatchObject({ state: 'BLOCKED', run_state: 'RUNNING' });
    await member.must(200, 'POST', `/orchestrator/tasks/${task.id}/stop`, { force: true });
    await member.untilRun(task.id, ['CANCELLED']);
    await member.untilTask(task.id, ['CANCELLED']);
    const { events } = await member.must<{ events: { new_state: string | null }[] }>(
      200,
      'GET',
      `/tasks/${task.id}/events`,
    );
    expect(
      events
        .map(({ new_state }) => new_state)
        .filter(Boolean)
        .slice(-3),
    ).toEqual(['IN_PROGRESS', 'BLOCKED', 'CANCELLED']);
  });
});

describe('agent types', () => {
  it('are made and changed by administrators, and hide what is secret from members', async () => {
    const fields = {
      name: 'secretive',
      docker_image: 'team/agent',
      environment_vars: { TOKEN: 'swordfish', KEY: '${GEMINI_API_KEY}' },
    };
    expect(await member.post('/agent-types', fields)).toMatchObject({
      status: 403,
      body: { code: 'agent_type.forbidden' },
    });
    const { id } = await admin.must<{ id: string }>(201, 'POST', '/agent-types', fields);
    expect(await admin.post('/agent-types', fields)).toMatchObject({
      status: 409,
      body: { code: 'agent_type.name_taken' },
    });
    expect(await member.put(`/agent-types/${id}`, { enabled: false })).toMatchObject({ status: 403 });
    const seen = await member.must<{ environment_vars: object }>(200, 'GET', `/agent-types/${id}`);
    expect(seen.environment_vars).toEqual({ TOKEN: '***', KEY: '${GEMINI_API_KEY}' });
    expect(JSON.stringify((await member.get('/agent-types')).body)).not.toContain('swordfish');
  });

  it.each<[string, Record<string, unknown>]>([
    ['a privileged container', { HostConfig: { Privileged: true } }],
    ['mounts', { mounts: ['/var/run/docker.sock'] }],
    ['an image with a tag inside', { docker_image: 'a:b' }],
    ['a limit that is none', { default_resources: { memory_limit: 'plenty' } }],
    ["the server's own variables", { environment_vars: { KANDEV_TASK_ID: 'x' } }],
    ['a runtime that is none', { runtime: 'vm' }],
    ['an empty command', { command: [] }],
  ])('with %s are refused', async (_, fields) => {
    const body = { name: 'bad', docker_image: 'team/agent', ...fields };
    expect(await admin.post('/agent-types', body)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });
});
