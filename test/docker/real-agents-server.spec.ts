import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AgentBench, CANCELLED, COMPLETED } from '../support/agents.js';
import { nothingLeft } from '../support/leftovers.js';
import { AuggieTenant } from '../support/model-servers/auggie-tenant.js';
import { auggieEdit, geminiEdit } from '../support/model-servers/edits.js';
import { GeminiServer } from '../support/model-servers/gemini-server.js';
import type { ScriptedModelServer } from '../support/model-servers/scripted-server.js';
import { LONG_MS, RealAgentTask } from '../support/real-agent-task.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const ROOT = resolve(import.meta.dirname, '../..');
/** Where the model servers are: an agent goes there through its gateway, and to 127.0.0.1 it does not. */
const MODEL_HOST = '127.0.0.3';
const BEFORE = 'export const sum = (a, b) => a - b;';
const AFTER = 'export const sum = (a, b) => a + b;';
const REPAIRED = [{ path: 'price.js', lines: [`-${BEFORE}`, `+${AFTER}`] }];

interface Case {
  name: string;
  server: () => ScriptedModelServer;
  /** Variables of the server, which the shipped agent type takes. */
  keys: (modelUrl: string) => Record<string, string>;
  /** What else of the agent type names the model server. */
  type: (modelUrl: string) => object;
  edit: typeof geminiEdit;
  /** Of a prompt that took two answers of the model; null where the agent reports none. */
  tokens: { tokens_in: number | null; tokens_out: number | null };
  /** What its tool calls have of what changes. */
  diffs: object[];
}

const AGENTS: Case[] = [
  {
    name: 'gemini-agent',
    server: () => new GeminiServer(),
    keys: () => ({ GEMINI_API_KEY: 'a-key' }),
    type: (url) => ({
      environment_vars: { GEMINI_API_KEY: '${GEMINI_API_KEY}', GOOGLE_GEMINI_BASE_URL: url },
    }),
    edit: geminiEdit,
    tokens: { tokens_in: 20, tokens_out: 10 },
    diffs: [{ type: 'diff', path: '/workspace/price.js', old_text: `${BEFORE}\n`, new_text: `${AFTER}\n` }],
  },
  {
    name: 'auggie-cli',
    server: () => new AuggieTenant(),
    keys: (url) => ({ AUGMENT_SESSION_AUTH: AuggieTenant.credentials(url) }),
    type: () => ({}),
    edit: auggieEdit,
    tokens: { tokens_in: null, tokens_out: null },
    diffs: [], // it shows none
  },
];

describeWithEngine.each(AGENTS)('the real $name under the server', ({ name, edit, tokens, diffs, ...how }) => {
  const model = how.server();
  let bench: AgentBench;
  let task: RealAgentTask;

  beforeAll(async () => {
    const build = [join(ROOT, 'scripts/agent-image.mjs'), 'build', name, '--from-host'];
    execFileSync(process.execPath, build, { stdio: 'pipe' });
    await model.listen({ host: MODEL_HOST });
    bench = await AgentBench.open({ ...how.keys(model.url), KANDEV_ALLOWED_PRIVATE_RANGES: `${MODEL_HOST}/32` });
    await adapt();
    task = await RealAgentTask.make(bench, name, { 'price.js': `${BEFORE}\n` });
  }, 300_000);

  afterAll(async () => {
    await bench.close();
    model.close();
  });

  /** Its agent type stays as it is shipped, but for the image and where the model is. */
  async function adapt(): Promise<void> {
    const { body } = await bench.admin.get<{ agent_types: { id: string; name: string }[] }>('/agent-types?limit=100');
    const id = body.agent_types.find((type) => type.name === name)?.id;
    const changes = { docker_tag: 'host', allowed_hosts: [new URL(model.url).host], ...how.type(model.url) };
    expect((await bench.admin.put(`/agent-types/${id}`, changes)).status).toBe(200);
  }

  const told = (from: number): string => JSON.stringify(model.requests.slice(from).map(({ body }) => body));

  it('edits a file when it is allowed to', async () => {
    model.turns.push({ say: 'I repair it. ', call: edit('price.js', 'a - b', 'a + b') }, { say: 'It is repaired.' });
    await bench.start(task.id);
    const request = await task.asked();
    expect(request).toMatchObject({ tool_kind: 'edit', paths: ['/workspace/price.js'] });
    expect(await task.diff()).toEqual([]);
    await task.answer(request, 'allow_once');
    expect(await task.ended(1)).toMatchObject({ ...COMPLETED, instance: { result_summary: 'It is repaired.' } });
    expect(await task.diff()).toEqual(REPAIRED);
    expect(await task.words()).toEqual(['I repair it. It is repaired.']);
    const calls = (await task.told('tool_call')).map((one) => one['tool_call'] as Record<string, unknown>);
    expect(new Set(calls.map((call) => call['tool_call_id'])).size).toBe(1);
    expect(calls[0]).toMatchObject({ kind: 'edit', status: 'pending', content: diffs });
    expect(calls.at(-1)).toMatchObject({ kind: 'edit', status: 'completed', content: diffs });
    const first = { kind: 'first', state: 'COMPLETED', stop_reason: 'end_turn', ...tokens };
    expect(await task.prompts()).toMatchObject([first]);
  });

  it('goes on with its session, and leaves the file when it is not allowed to', async () => {
    await task.age();
    const before = model.requests.length;
    model.turns.push({ say: 'I put it back. ', call: edit('price.js', 'a + b', 'a - b') }, { say: 'As you wish.' });
    await task.say('Put it back.');
    await task.answer(await task.asked(), 'reject_once');
    expect(await task.ended(2)).toMatchObject(COMPLETED);
    expect((await task.told('tool_call')).at(-1)).toMatchObject({ tool_call: { kind: 'edit', status: 'failed' } });
    expect(await task.diff()).toEqual(REPAIRED);
    for (const words of ['It subtracts.', 'I repair it.', 'It is repaired.', 'Put it back.'])
      expect(told(before)).toContain(words);
    expect(await task.words()).toEqual(['I repair it. It is repaired.', 'I put it back. As you wish.']); // once each
    expect(await task.told('user_message')).toEqual([]);
    expect(await task.prompts()).toMatchObject([{}, { kind: 'follow_up', state: 'COMPLETED' }]);
  });

  it('is stopped in the middle of a turn of the same session', async () => {
    const before = model.requests.length;
    model.turns.push({ hang: true });
    await task.say('Think about it.');
    await until(
      'the model to think',
      () => model.turns.length === 0 && told(before).includes('Think about it.'),
      LONG_MS,
    );
    await bench.admin.post(`/orchestrator/tasks/${task.id}/stop`, {});
    expect(await task.ended(3)).toMatchObject(CANCELLED);
    await nothingLeft(bench.server.home);
    expect(told(before)).toContain('I put it back.');
    expect(await task.told('session_opened')).toMatchObject([{ how: 'new' }, { how: 'loaded' }, { how: 'loaded' }]);
    expect(await task.told('turn_ended')).toMatchObject([{}, {}, { stop_reason: 'cancelled', cancelled_by: 'stop' }]);
    expect(await task.prompts()).toMatchObject([{}, {}, { state: 'CANCELLED' }]);
    expect(await task.diff()).toEqual(REPAIRED);
  });

  it('is interrupted while it waits for an answer, and goes on with what it is told instead', async () => {
    model.turns.push({ say: 'I put it back. ', call: edit('price.js', 'a + b', 'a - b') });
    await task.say('Put it back again.');
    const request = await task.asked();
    model.turns.push({ say: 'I leave it.' });
    await task.say('Leave it as it is.', { interrupt: true });
    expect(await task.ended(5)).toMatchObject({ ...COMPLETED, instance: { result_summary: 'I leave it.' } });
    const path = `/orchestrator/approvals?task_id=${task.id}&state=CANCELLED`;
    expect((await bench.admin.get<{ approvals: object[] }>(path)).body.approvals).toMatchObject([{ id: request.id }]);
    expect((await task.told('tool_call')).at(-1)).toMatchObject({ tool_call: { kind: 'edit', status: 'failed' } });
    const [cancelled, last] = (await task.told('turn_ended')).slice(-2);
    expect(cancelled).toMatchObject({ stop_reason: 'cancelled', cancelled_by: 'interrupt' });
    expect(last).toMatchObject({ stop_reason: 'end_turn' });
    expect((await task.prompts()).slice(-2)).toMatchObject([{ state: 'CANCELLED' }, { state: 'COMPLETED' }]);
    expect(await task.diff()).toEqual(REPAIRED);
  });
});
