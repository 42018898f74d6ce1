import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CANCELLED, COMPLETED, FAILED } from '../support/agents.js';
import { pieceOf } from '../../src/modules/session/domain/dialogue/chunks.js';
import { DialogueBench, type ApprovalBody, type Step } from '../support/dialogue-bench.js';
import type { ApiClient } from '../support/api-client.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const SECRET = 'hunter2-hunter2-hunter2';
/** Of an agent that asks, says what it was answered, and ends. */
const ASKS: Step[][] = [[{ ask: { title: 'Write a.txt', kind: 'edit' } }]];

let dialogues: DialogueBench;
let editor: TestUser;

beforeAll(async () => {
  dialogues = await DialogueBench.open({
    ...{ KANDEV_STOP_GRACE_SECONDS: '1', KANDEV_MAX_CONCURRENT_RUNS: '8' },
    ...{ KANDEV_ENV_ALLOWLIST: 'TEST_AGENT_KEY', TEST_AGENT_KEY: SECRET },
  });
  const { server, admin, board_id } = dialogues.bench;
  editor = await server.newUser();
  const { status } = await admin.send('PUT', `/boards/${board_id}/members/${editor.userId}`, { role: 'editor' });
  expect(status).toBe(200);
});
afterAll(() => dialogues.close());

const answer = (user: ApiClient, id: string, option_id: string) =>
  user.post<ApprovalBody & { code: string }>(`/orchestrator/approvals/${id}`, { option_id });
const state = async (id: string) => (await dialogues.bench.status(id)).state;
const settings = async (id: string, body: Step) => {
  const { admin } = dialogues.bench;
  const { agent_type } = (await admin.get<{ agent_type: string }>(`/tasks/${id}`)).body;
  const { agent_types } = (await admin.get<{ agent_types: { id: string; name: string }[] }>('/agent-types?limit=200'))
    .body;
  const type = agent_types.find(({ name }) => name === agent_type)!;
  expect((await admin.send('PUT', `/agent-types/${type.id}/session-settings`, body)).status).toBe(200);
};
/** Without its run: its agent type is to be set up before. */
const made = ({ home: _, ...recipe }: ReturnType<DialogueBench['agent']>) => dialogues.bench.task(recipe);

describe('a permission request', () => {
  it('is answered once, whoever answers at the same moment, and its agent hears one answer', async () => {
    const recipe = dialogues.agent(ASKS);
    const id = await dialogues.begin(recipe);
    const request = await dialogues.pending(id);
    const tries = await Promise.all([
      answer(dialogues.bench.admin, request.id, 'once'),
      answer(editor, request.id, 'no'),
    ]);
    expect(tries.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    const late = tries.find(({ status }) => status === 409)!;
    expect(late.body).toMatchObject({ code: 'approval.answered', detail: expect.stringContaining('was faster') });
    const option_id = tries[0].status === 200 ? 'once' : 'no';
    expect(await dialogues.bench.ended(id)).toMatchObject(COMPLETED);
    expect(dialogues.answers(recipe)).toEqual([{ outcome: { outcome: 'selected', optionId: option_id } }]);
    expect(await dialogues.approvals(id, 'ANSWERED')).toMatchObject([{ id: request.id, option_id }]);
  });

  it.each(['stopped', 'dead'])('of a run that is %s is closed: nothing is sent', async (how) => {
    const recipe = dialogues.agent(how === 'dead' ? [[{ ask: { exit_after_ms: 50 } }]] : ASKS);
    const id = await dialogues.begin(recipe);
    const request = await until('the request', async () => (await dialogues.approvals(id, 'PENDING,CANCELLED'))[0]);
    if (how === 'stopped') await dialogues.bench.admin.post(`/orchestrator/tasks/${id}/stop`, {});
    expect(await dialogues.bench.ended(id)).toMatchObject(how === 'dead' ? FAILED : CANCELLED);
    const late = await answer(editor, request.id, 'once');
    expect(late).toMatchObject({ status: 409, body: { code: 'approval.closed' } });
    expect((late.body as unknown as { detail: string }).detail).toMatch(/does not wait for this answer any more: The /);
    expect(JSON.stringify(dialogues.answers(recipe))).not.toContain('once');
    expect(await dialogues.approvals(id, 'CANCELLED')).toMatchObject([{ outcome: 'cancelled', option_id: null }]);
  });

  it.each([
    ['allow', 'once', 'allowed'],
    ['deny', 'no', 'denied'],
  ])('that waits is answered by a rule that says %s from now on', async (decision, option_id, outcome) => {
    const recipe = dialogues.agent(ASKS);
    const id = await dialogues.begin(recipe);
    const request = await dialogues.pending(id);
    await settings(id, { permission_rules: [{ decision: 'ask' }] }); // which leaves it to people
    await settings(id, { permission_rules: [{ decision, tool_kinds: ['edit'] }] });
    expect(await dialogues.bench.ended(id)).toMatchObject(COMPLETED);
    const [answered] = await dialogues.approvals(id, 'ANSWERED');
    expect(answered).toMatchObject({ id: request.id, option_id, outcome, answered_by: null });
    expect(answered?.reason).toBe("Rule 1 of the agent type's policy.");
    expect(dialogues.answers(recipe)).toEqual([{ outcome: { outcome: 'selected', optionId: option_id } }]);
    expect(await answer(editor, request.id, 'once')).toMatchObject({
      status: 409,
      body: { code: 'approval.answered' },
    });
  });

  it('is denied where nobody answers in time, and the waiting is no silence', async () => {
    // It waits three times as long as the agent may be silent.
    const recipe = dialogues.agent(ASKS, {}, { task_timeouts: { inactivity_timeout_seconds: 1 } });
    const id = await made(recipe);
    await settings(id, { permission_timeout_seconds: 3 });
    await dialogues.bench.start(id);
    const request = await dialogues.pending(id);
    await until('the card', async () => (await state(id)) === 'BLOCKED');
    expect(await dialogues.bench.ended(id)).toMatchObject(COMPLETED);
    const expired = { id: request.id, outcome: 'denied', option_id: 'no', answered_by: null };
    expect(await dialogues.approvals(id, 'EXPIRED')).toMatchObject([expired]);
    expect(await dialogues.words(id)).toBe('permission: no');
    expect(await answer(editor, request.id, 'once')).toMatchObject({ status: 409, body: { code: 'approval.closed' } });
  });

  it('does not block a card again that a person has moved', async () => {
    const twice = [{ ask: { title: 'First' } }, { ask: { title: 'Second' } }];
    const id = await dialogues.begin(dialogues.agent([twice]));
    const first = await dialogues.pending(id);
    await until('the card', async () => (await state(id)) === 'BLOCKED');
    const moved = await dialogues.bench.admin.send('PATCH', `/tasks/${id}/state`, { state: 'IN_PROGRESS' });
    expect(moved.status).toBe(200);
    await answer(editor, first.id, 'once');
    const second = await until('the next', async () =>
      (await dialogues.approvals(id)).find(({ title }) => title === 'Second'),
    );
    await until('the card', async () => (await state(id)) === 'BLOCKED'); // something new
    await answer(editor, second.id, 'once');
    expect(await dialogues.bench.ended(id)).toMatchObject(COMPLETED);
  });
});

describe('an agent that is silent', () => {
  it('is cancelled first, and then stopped', async () => {
    const recipe = dialogues.agent(
      [[{ say: 'On.' }, { wait: 'cancel' }]],
      {},
      { task_timeouts: { inactivity_timeout_seconds: 1 } },
    );
    const id = await dialogues.begin(recipe);
    const ended = await dialogues.bench.ended(id);
    expect(ended).toMatchObject({ ...FAILED, failure_code: 'agent.inactive' });
    expect(ended.message).toMatch(/wrote nothing for 1 s/);
    expect(dialogues.received(recipe).at(-1)?.method).toBe('session/cancel');
    // It has ended its turn by itself, in the time that it had.
    expect(await dialogues.told(id, 'turn_ended')).toMatchObject([
      { data: { metadata: { cancelled_by: 'inactive' } } },
    ]);
  });
});

describe('what is said, word for word', () => {
  interface FrameBody {
    id: number;
    direction: string;
    line: string;
    bytes: number;
  }
  const frames = async (agent: string, search = '') =>
    (await dialogues.bench.admin.get<{ frames: FrameBody[]; full: boolean }>(`/agents/${agent}/frames${search}`)).body;

  it('is kept where an administrator has switched that on, without secrets, as long as it is on', async () => {
    const environment_vars = { TEST_AGENT_KEY: '${TEST_AGENT_KEY}' };
    const recipe = dialogues.agent(
      [[{ say: `It is ${SECRET}.` }, ...ASKS[0]!, { say: 'Unseen.' }]],
      {},
      { environment_vars },
    );
    const id = await made(recipe);
    await settings(id, { keep_frames: true });
    await dialogues.bench.start(id);
    const request = await dialogues.pending(id);
    await settings(id, { keep_frames: false });
    await answer(editor, request.id, 'once');
    const { instance } = await dialogues.bench.ended(id);
    const kept = await frames(instance.id);
    expect(kept.full).toBe(false);
    const methods = kept.frames.map(({ direction, line }) => {
      const { method } = JSON.parse(line) as { method?: string };
      return `${direction} ${method ?? 'answer'}`;
    });
    expect(methods).toEqual([
      ...['sent initialize', 'received answer', 'sent session/new', 'received answer', 'sent session/prompt'],
      ...['received session/update', 'received session/request_permission'],
    ]);
    const all = JSON.stringify(kept);
    expect(all).toContain('[redacted]');
    expect(all).not.toContain(SECRET);
    const rest = await frames(instance.id, `?limit=1&after=${kept.frames[0]?.id}`);
    expect(rest.frames).toEqual([kept.frames[1]]);
    const refused = await editor.get(`/agents/${instance.id}/frames`);
    expect(refused).toMatchObject({ status: 403, body: { code: 'agent.forbidden' } });
    await dialogues.bench.admin.send('DELETE', `/tasks/${id}`);
    expect((await dialogues.bench.admin.get(`/agents/${instance.id}/frames`)).status).toBe(404);
  });

  it('shows no secret that is said in small pieces, in the stream or in what is kept', async () => {
    const environment_vars = { TEST_AGENT_KEY: '${TEST_AGENT_KEY}' };
    const said = { say: `It is ${SECRET}.`, chunks: 12, delay_ms: 10 };
    const id = await made(dialogues.agent([[said]], {}, { environment_vars }));
    await settings(id, { keep_frames: true });
    await dialogues.bench.start(id);
    const { instance } = await dialogues.bench.ended(id);
    expect(instance).toMatchObject({ status: 'COMPLETED', result_summary: 'It is [redacted].' });
    expect(await dialogues.words(id)).toBe('It is [redacted].');
    const kept = (await frames(instance.id)).frames.flatMap(({ line }) => pieceOf(line)?.text ?? []);
    expect(kept.length).toBeGreaterThan(8);
    expect(kept.join('')).toBe('It is [redacted].');
  });

  it('is not kept otherwise', async () => {
    const { instance } = await dialogues.bench.run(agentOf([[{ say: 'Done.' }]]));
    expect(await frames(instance.id)).toEqual({ frames: [], full: false });
  });

  const agentOf = (scripts: Step[][]) => {
    const { home: _, ...recipe } = dialogues.agent(scripts);
    return recipe;
  };
});

describe('what agents tell of their usage', () => {
  interface Sum {
    subject: string;
    task_id: string | null;
    input_tokens: number;
    output_tokens: number;
    cost_usd: number;
    messages: number | null;
  }

  it('is added up by turn, run, task, board and day, and feeds the budgets', async () => {
    const { admin, board_id } = dialogues.bench;
    const cost = { usage: { used: 5, cost: { amount: 0.25, currency: 'USD' } } };
    const patch = { usage: { inputTokens: 100, outputTokens: 20 } };
    const id = await dialogues.begin(
      dialogues.agent([[cost, { say: 'First.' }], [{ say: 'Second.' }]], { on: { 'session/prompt': { patch } } }),
    );
    const first = await dialogues.bench.ended(id);
    await admin.post(`/orchestrator/tasks/${id}/prompts`, { text: 'More.' });
    await until('the next run', async () => (await dialogues.bench.status(id)).run_id !== first.instance.run_id);
    expect(await dialogues.bench.ended(id)).toMatchObject(COMPLETED);

    const usage = async (by: string, search = `&task_id=${id}`, user: ApiClient = admin) =>
      (await user.get<{ usage: Sum[] }>(`/usage?by=${by}${search}`)).body.usage;
    const one = { input_tokens: 100, output_tokens: 20 };
    const both = { input_tokens: 200, output_tokens: 40, cost_usd: 0.25 };
    const { prompts } = (await admin.get<{ prompts: { id: string }[] }>(`/orchestrator/tasks/${id}/prompts`)).body;
    expect(await usage('turn')).toMatchObject([
      { subject: prompts[0]?.id, task_id: id, ...one, cost_usd: 0.25, messages: null },
      { subject: prompts[1]?.id, ...one, cost_usd: 0 },
    ]);
    const runs = await usage('run');
    expect(runs).toMatchObject([
      { subject: first.instance.run_id, task_id: id, ...one, cost_usd: 0.25 },
      { ...one, cost_usd: 0 },
    ]);
    expect(await usage('task')).toMatchObject([{ subject: id, ...both }]);
    expect(await usage('day')).toMatchObject([both]);
    expect(await usage('board', `&board_id=${board_id}`)).toMatchObject([{ subject: board_id, ...both }]);
    expect(await usage('task', '&limit=1')).toMatchObject([{ subject: id }]); // the most costly
    expect(await usage('task', `&task_id=${id}&to=2026-01-01`)).toEqual([]);
    expect(await usage('board', '', editor)).toMatchObject([{ subject: board_id }]);

    const stranger = await dialogues.bench.server.newUser();
    expect(await usage('board', '', stranger)).toEqual([]);
    expect((await stranger.get(`/usage?task_id=${id}`)).status).toBe(404);
    expect((await admin.get('/usage?by=week')).status).toBe(400);

    const budget = await admin.send('PUT', `/tasks/${id}/budgets/total`, { tokens: 240 });
    expect(budget.status).toBe(200);
    const { budgets } = (await admin.get<{ budgets: object[] }>(`/tasks/${id}/budgets`)).body;
    expect(budgets).toMatchObject([{ used: { tokens: 240, cost_usd: 0.25 }, used_up: true }]);
  });
});
