import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { TaskBody, TestUser } from '../support/test-user.js';

interface PromptBody {
  id: string;
  state: string;
  text: string;
  failure: string | null;
  attachments: { name: string; path: string | null; size: number | null }[];
}
interface ApprovalBody {
  id: string;
  state: string;
  option_id: string | null;
  outcome: string | null;
  answered_by: string | null;
}
type List<K extends string, T> = Record<K, T[]> & { total: number };

const MIB = 1024 * 1024;

let server: TestServer;
let admin: TestUser;
let owner: TestUser;
let viewer: TestUser;
let stranger: TestUser;
let board: string;

/** No host has what its agents need, so that their runs wait. */
const SPEAKER = 'speaker';
beforeAll(async () => {
  server = await TestServer.start();
  admin = await server.newUser();
  [owner, viewer, stranger] = [await server.newUser(), await server.newUser(), await server.newUser()];
  const agents = { runtime: 'process', command: ['sh', '-c', 'sleep 600 & wait'] };
  const waiting = { ...agents, protocol: 'agent-client-protocol', host_labels: ['nowhere'] };
  await admin.createAgentType({ name: SPEAKER, ...waiting });
  await admin.createAgentType({ name: 'off', ...waiting, enabled: false });
  await admin.createAgentType({ name: 'lines', ...agents });
  board = await owner.createBoard();
  await owner.must(200, 'PUT', `/boards/${board}/members/${viewer.userId}`, { role: 'viewer' });
});
afterAll(() => server.dispose());

const newTask = (agent_type: string | null = SPEAKER): Promise<TaskBody> =>
  owner.createTask(board, agent_type === null ? {} : { agent_type });
const prompt = (user: TestUser, task: string, body: object = { text: 'Go on.' }, headers = {}) =>
  user.send<PromptBody & { code: string }>('POST', `/orchestrator/tasks/${task}/prompts`, body, headers);
const prompts = (task: string, search = '') =>
  owner.must<List<'prompts', PromptBody>>(200, 'GET', `/orchestrator/tasks/${task}/prompts${search}`);
const runsOf = async (task: string) =>
  (await query(server.database.url, 'select 1 from runs where task_id = $1', [task])).length;

describe('a prompt', () => {
  it('of a task without a run starts one; of one that has a run it waits for its agent', async () => {
    const { id } = await newTask();
    const first = await prompt(owner, id);
    expect(first).toMatchObject({
      status: 202,
      body: { state: 'QUEUED', kind: 'follow_up', interrupt: false, run_id: null },
    });
    expect(await owner.runStatus(id)).toMatchObject({ run_state: 'QUEUED' });
    expect((await prompt(owner, id, { text: 'And then?', interrupt: true })).status).toBe(202);
    expect(await runsOf(id)).toBe(1);
    const list = await prompts(id);
    expect(list.prompts.map(({ text }) => text)).toEqual(['Go on.', 'And then?']);
    expect(await prompts(id, '?limit=1&offset=1')).toMatchObject({ total: 2, prompts: [{ text: 'And then?' }] });
  });

  it('opens a finished task again', async () => {
    const { id } = await newTask();
    await query(server.database.url, `update tasks set state = 'COMPLETED', completed_at = now() where id = $1`, [id]);
    expect((await prompt(owner, id)).status).toBe(202);
    expect((await owner.untilTask(id, ['TODO'])).state).toBe('TODO');
    expect(await runsOf(id)).toBe(1);
  });

  it('of an administrator who is no member of the board is taken as well', async () => {
    const { id } = await newTask();
    expect((await prompt(admin, id)).status).toBe(202);
    expect(await runsOf(id)).toBe(1);
  });

  it('with the same Idempotency-Key is one, however often and fast it is sent', async () => {
    const { id } = await newTask();
    const key = { 'Idempotency-Key': randomUUID() };
    const answers = await Promise.all([1, 2, 3, 4].map(() => prompt(owner, id, { text: 'Once' }, key)));
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await prompt(owner, id, { text: 'Other' }, key)).toMatchObject({
      status: 409,
      body: { code: 'idempotency.key_reused' },
    });
    expect((await prompts(id)).total).toBe(1);
    expect(await runsOf(id)).toBe(1);
  });

  it('that could not be started may be sent again with its Idempotency-Key', async () => {
    const { id } = await newTask(null);
    const key = { 'Idempotency-Key': randomUUID() };
    const once = () => prompt(owner, id, { text: 'Once' }, key);
    expect(await once()).toMatchObject({ status: 409, body: { code: 'run.no_agent_type' } });
    expect(await once()).toMatchObject({ status: 409, body: { code: 'run.no_agent_type' } });
    await query(server.database.url, 'update tasks set agent_type = $2 where id = $1', [id, SPEAKER]);
    expect(await once()).toMatchObject({ status: 202, body: { state: 'QUEUED' } });
    expect(await once()).toMatchObject({ status: 202, body: { state: 'QUEUED' } });
    expect((await prompts(id)).prompts.map(({ state }) => state)).toEqual(['FAILED', 'FAILED', 'QUEUED']);
  });

  it.each<[string, string | null, number, string]>([
    ['of agents that read lines', 'lines', 409, 'prompt.not_understood'],
    ['without an agent type', null, 409, 'run.no_agent_type'],
    ['of a disabled agent type', 'off', 409, 'agent_type.disabled'],
  ])('%s is refused in words, and nothing waits', async (_, type, status, code) => {
    const { id } = await newTask(type);
    expect(await prompt(owner, id)).toMatchObject({ status, body: { code } });
    expect((await prompts(id)).prompts.filter(({ state }) => state === 'QUEUED')).toEqual([]);
    expect(await owner.runStatus(id)).toMatchObject({ run_id: null });
  });

  it('of an archived task, or behind fifty that wait, is refused', async () => {
    const { id } = await newTask();
    await query(
      server.database.url,
      `insert into prompts (id, task_id, board_id, kind, text)
       select gen_random_uuid(), $1, $2, 'follow_up', 'x' from generate_series(1, 50)`,
      [id, board],
    );
    expect(await prompt(owner, id)).toMatchObject({ status: 409, body: { code: 'prompt.too_many' } });
    const archived = await newTask();
    await owner.must(200, 'POST', `/tasks/${archived.id}/archive`, {});
    expect(await prompt(owner, archived.id)).toMatchObject({ status: 409, body: { code: 'task.archived' } });
  });

  it('is of those who may change the task, and seen by those who see it', async () => {
    const { id } = await newTask();
    expect(await prompt(stranger, id)).toMatchObject({ status: 404, body: { code: 'task.not_found' } });
    expect(await prompt(viewer, id)).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
    expect((await viewer.get(`/orchestrator/tasks/${id}/prompts`)).status).toBe(200);
    expect((await stranger.get(`/orchestrator/tasks/${id}/prompts`)).status).toBe(404);
  });
});

describe('attachments', () => {
  const data = (bytes: number) => Buffer.alloc(bytes, 'a').toString('base64');
  const attach = async (...attachments: object[]) =>
    prompt(owner, (await newTask()).id, { text: 'See there.', attachments });

  it('are files of the workspace, images and texts, and are shown without their bytes', async () => {
    const image = { name: 'a.png', media_type: 'image/png', data: Buffer.from([0, 255, 1]).toString('base64') };
    const large = { name: 'log.txt', media_type: 'text/plain', data: data(5 * MIB - 3) };
    const { status, body } = await attach({ name: 'design', path: 'docs/design.md' }, image, large);
    expect(status).toBe(202);
    const shown = [
      { name: 'design', path: 'docs/design.md', media_type: null, size: null },
      { name: 'a.png', path: null, media_type: 'image/png', size: 3 },
      { name: 'log.txt', path: null, media_type: 'text/plain', size: 5 * MIB - 3 },
    ];
    expect(body.attachments).toEqual(shown);
  });

  it('of more than 5 MiB are 413, and so is a body beyond all of that', async () => {
    const half = { name: 'a', media_type: 'text/plain', data: data(3 * MIB) };
    expect(await attach(half, half)).toMatchObject({ status: 413, body: { code: 'request.too_large' } });
    expect((await attach({ ...half, data: data(7 * MIB) })).status).toBe(413);
    const other = await owner.send('POST', '/boards', { name: 'x', description: 'x'.repeat(2 * MIB) });
    expect(other.status).toBe(413);
  });

  it.each<[string, object]>([
    ['an absolute path', { name: 'a', path: '/etc/passwd' }],
    ['a path out of the workspace', { name: 'a', path: 'a/../../b' }],
    ['neither path nor data', { name: 'a' }],
    ['both', { name: 'a', path: 'a', data: 'YQ==', media_type: 'text/plain' }],
    ['no name', { path: 'a' }],
    ['a field that there is not', { name: 'a', path: 'a', size: 1 }],
    ['data without a type', { name: 'a', data: 'YQ==' }],
    ['data that is no base64', { name: 'a', data: 'a', media_type: 'text/plain' }],
    ['data that is neither text nor image', { name: 'a', data: 'AP8B', media_type: 'application/zip' }],
  ])('with %s are refused', async (_, attachment) => {
    const { status, body } = await attach(attachment);
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'request.invalid' });
  });
});

const OPTIONS = [
  { option_id: 'yes', name: 'Allow', kind: 'allow_once' },
  { option_id: 'no', name: 'Deny', kind: 'reject_once' },
];

async function newApproval(task_id: string, change: { state?: string; reason?: string } = {}): Promise<string> {
  const id = randomUUID();
  const { state = 'PENDING', reason = null } = change;
  await query(
    server.database.url,
    `insert into permission_requests
       (id, task_id, board_id, run_id, agent_id, request_key, title, tool_kind, paths, tool_call, options, state, reason)
     select $1::uuid, id, board_id, $1::uuid, $1::uuid, '1', 'Write src/a.ts', 'edit', '["src/a.ts"]', '{"tool_call_id":"c"}', $3,
       $4, $5 from tasks where id = $2`,
    [id, task_id, JSON.stringify(OPTIONS), state, reason],
  );
  return id;
}
const answer = (user: TestUser, id: string, option_id = 'yes') =>
  user.send<ApprovalBody & { code: string }>('POST', `/orchestrator/approvals/${id}`, { option_id });
const approvals = (user: TestUser, search = '') =>
  user.must<List<'approvals', ApprovalBody>>(200, 'GET', `/orchestrator/approvals${search}`);

describe('an approval', () => {
  it('is answered once, by whoever is first; the same answer by the same user again is no error', async () => {
    const editor = await server.newUser();
    await owner.must(200, 'PUT', `/boards/${board}/members/${editor.userId}`, { role: 'editor' });
    for (let round = 0; round < 5; round++) {
      const id = await newApproval((await newTask()).id);
      const answers = await Promise.all([answer(owner, id, 'yes'), answer(editor, id, 'no')]);
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
      expect(answers.find(({ status }) => status === 409)?.body.code).toBe('approval.answered');
      const [winner, option, outcome] =
        answers[0].status === 200 ? ([owner, 'yes', 'allowed'] as const) : ([editor, 'no', 'denied'] as const);
      const now = { state: 'ANSWERED', option_id: option, outcome, answered_by: winner.userId };
      expect(await answer(winner, id, option)).toMatchObject({ status: 200, body: now });
      expect((await answer(winner, id, option === 'yes' ? 'no' : 'yes')).status).toBe(409);
      expect(await viewer.must(200, 'GET', `/orchestrator/approvals/${id}`)).toMatchObject(now);
    }
    const audited = await query(server.database.url, `select 1 from audit_events where action = 'approval.answered'`);
    expect(audited).toHaveLength(5);
  });

  it('that nobody waits for any more can not be answered', async () => {
    const id = await newApproval((await newTask()).id, { state: 'CANCELLED', reason: 'The agent has ended.' });
    const late = await answer(owner, id);
    expect(late).toMatchObject({
      status: 409,
      body: { code: 'approval.closed', detail: expect.stringContaining('The agent has ended.') },
    });
    const denied = await newApproval((await newTask()).id, { state: 'EXPIRED' });
    expect(await answer(owner, denied)).toMatchObject({ status: 409, body: { code: 'approval.closed' } });
  });

  it('takes its own options only', async () => {
    const id = await newApproval((await newTask()).id);
    const { status, body } = await answer(owner, id, 'maybe');
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'approval.unknown_option' });
    expect((await owner.send('POST', `/orchestrator/approvals/${id}`, {})).status).toBe(400);
    expect(await owner.must(200, 'GET', `/orchestrator/approvals/${id}`)).toMatchObject({
      state: 'PENDING',
      outcome: null,
    });
  });

  it('is seen on the boards that one sees, and answered by those who may change the task', async () => {
    const own = await stranger.createBoard();
    const theirs = await newApproval((await stranger.createTask(own)).id);
    const task = (await newTask()).id;
    const [waits, over] = [await newApproval(task), await newApproval(task, { state: 'CANCELLED' })];
    expect(await answer(viewer, waits)).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
    for (const id of [waits, randomUUID()])
      expect(await answer(stranger, id)).toMatchObject({ status: 404, body: { code: 'approval.not_found' } });
    expect((await stranger.get(`/orchestrator/approvals/${waits}`)).status).toBe(404);
    expect(await approvals(stranger)).toMatchObject({ total: 1, approvals: [{ id: theirs }], next_cursor: null });
    const ids = async (search: string) => (await approvals(owner, search)).approvals.map(({ id }) => id);
    expect(await ids(`?task_id=${task}`)).toEqual([waits]);
    expect((await ids(`?task_id=${task}&state=PENDING,CANCELLED`)).toSorted()).toEqual([waits, over].toSorted());
    expect(await ids(`?board_id=${own}`)).toEqual([]);
    expect((await owner.get('/orchestrator/approvals?state=OPEN')).status).toBe(400);
    const page = await owner.pages<ApprovalBody>(
      `/orchestrator/approvals?board_id=${board}&state=PENDING,ANSWERED,CANCELLED&limit=2`,
      'approvals',
    );
    const all = await approvals(owner, `?board_id=${board}&state=PENDING,ANSWERED,CANCELLED&limit=200`);
    expect(page).toEqual(all.approvals);
  });
});

describe('session settings', () => {
  const rule = { decision: 'allow', tool_kinds: ['edit'], paths: ['src/**'] };
  const shared = {
    prompt_template: '{{ title }}: {{description}}',
    permission_rules: [rule],
    permission_timeout_seconds: 60,
  };
  const ofType = {
    ...shared,
    mode_id: 'auto_edit',
    quirks: { auth_method: 'key', load_min_age_seconds: 5 },
    keep_frames: true,
  };
  const empty = {
    ...{ prompt_template: null, permission_rules: [], permission_timeout_seconds: null, updated_by: null },
    updated_at: null,
  };
  const typePath = async () => {
    const type = { name: `type-${randomUUID()}`, docker_image: 'kandev/demo-agent' };
    return `/agent-types/${(await admin.must<{ id: string }>(201, 'POST', '/agent-types', type)).id}/session-settings`;
  };

  it('of a board are its owner’s to set and take away', async () => {
    const path = `/boards/${board}/session-settings`;
    expect(await viewer.must(200, 'GET', path)).toEqual(empty);
    expect(await owner.must(200, 'PUT', path, shared)).toMatchObject({ ...shared, updated_by: owner.userId });
    expect(await owner.must(200, 'PUT', path, { permission_rules: [{ decision: 'deny' }] })).toMatchObject({
      ...{ prompt_template: null, permission_timeout_seconds: null, permission_rules: [{ decision: 'deny' }] },
    });
    expect(await viewer.send('PUT', path, shared)).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
    expect(await stranger.send('GET', path)).toMatchObject({ status: 404, body: { code: 'board.not_found' } });
    expect((await owner.send('DELETE', path)).status).toBe(204);
    expect(await owner.send('DELETE', path)).toMatchObject({
      status: 404,
      body: { code: 'session_settings.not_found' },
    });
    expect(await owner.must(200, 'GET', path)).toEqual(empty);
    const audited = await query<{ action: string }>(
      ...([
        server.database.url,
        `select action from audit_events where action like 'session_settings.%' order by id`,
      ] as const),
    );
    expect(audited.map(({ action }) => action)).toEqual([
      'session_settings.set',
      'session_settings.set',
      'session_settings.removed',
    ]);
  });

  it('of an agent type are the administrators’', async () => {
    const path = await typePath();
    expect(await owner.must(200, 'GET', path)).toEqual({ ...empty, mode_id: null, quirks: {}, keep_frames: false });
    expect(await admin.must(200, 'PUT', path, ofType)).toMatchObject({ ...ofType, updated_by: admin.userId });
    expect(await owner.send('PUT', path, ofType)).toMatchObject({
      status: 403,
      body: { code: 'agent_type.forbidden' },
    });
    expect((await admin.send('DELETE', path)).status).toBe(204);
    const type = path.replace('/session-settings', '');
    await admin.must(200, 'PUT', path, ofType);
    const { name } = await admin.must<{ name: string }>(200, 'GET', type);
    expect((await admin.send('DELETE', type)).status).toBe(204);
    expect(await query(server.database.url, 'select 1 from session_settings where subject = $1', [name])).toEqual([]);
    const gone = `/agent-types/${randomUUID()}/session-settings`;
    expect(await admin.send('PUT', gone, {})).toMatchObject({ status: 404, body: { code: 'agent_type.not_found' } });
  });

  const many = (count: number) => Array.from({ length: count }, (_, n) => `dir-${n}/**`);
  it.each<[string, object]>([
    ['an unknown name in the template', { prompt_template: 'Do {{titel}}' }],
    ['a template that is too long', { prompt_template: 'x'.repeat(20_001) }],
    ['101 rules', { permission_rules: Array.from({ length: 101 }, () => ({ decision: 'ask' })) }],
    ['an unknown decision', { permission_rules: [{ decision: 'maybe' }] }],
    ['an unknown kind of tool', { permission_rules: [{ decision: 'deny', tool_kinds: ['exec'] }] }],
    ['an unknown field of a rule', { permission_rules: [{ decision: 'deny', path: 'a' }] }],
    ['an absolute path', { permission_rules: [{ decision: 'allow', paths: ['/etc/**'] }] }],
    ['a path out of the workspace', { permission_rules: [{ decision: 'allow', paths: ['src/../../**'] }] }],
    ['a pattern of another kind', { permission_rules: [{ decision: 'deny', paths: ['*.{ts,js}'] }] }],
    ['no path at all', { permission_rules: [{ decision: 'allow', paths: [] }] }],
    ['51 paths', { permission_rules: [{ decision: 'allow', paths: many(51) }] }],
    [
      '501 paths in all',
      { permission_rules: Array.from({ length: 11 }, () => ({ decision: 'ask', paths: many(50) })) },
    ],
    ['a timeout of 0', { permission_timeout_seconds: 0 }],
    ['a mode', { mode_id: 'yolo' }],
    ['quirks', { quirks: {} }],
    ['frames to keep', { keep_frames: true }],
  ])('of a board with %s are refused', async (_, body) => {
    expect(await owner.send('PUT', `/boards/${board}/session-settings`, body)).toMatchObject({
      ...{ status: 400, body: { code: 'request.invalid' } },
    });
  });

  it.each<[string, object]>([
    ['that there is not', { verbose: true }],
    ['of another type', { load_min_age_seconds: '5' }],
  ])('of an agent type with a quirk %s are refused', async (_, quirks) => {
    expect((await admin.send('PUT', await typePath(), { quirks })).status).toBe(400);
  });
});
