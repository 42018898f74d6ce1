import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleTestAgent } from '../../scripts/lib/image/test-agent.mjs';
import { AgentBench, CANCELLED, COMPLETED, FAILED, type AgentRecipe } from '../support/agents.js';
import { until } from '../support/until.js';

const ROOT = resolve(import.meta.dirname, '../..');
type Step = Record<string, unknown>;

interface PromptBody {
  id: string;
  kind: string;
  text: string;
  state: string;
  stop_reason: string | null;
}
interface ApprovalBody {
  id: string;
  task_id: string;
  title: string;
  state: string;
  options: { option_id: string; kind: string }[];
}

describe('a dialogue over the Agent Client Protocol', () => {
  let bench: AgentBench;
  let program: string;
  const homes: string[] = [];

  beforeAll(async () => {
    program = bundleTestAgent(ROOT);
    bench = await AgentBench.open({ DOCKER_HOST: 'unix:///nowhere/docker.sock', KANDEV_STOP_GRACE_SECONDS: '2' });
  });

  afterAll(async () => {
    await bench.server.dispose();
    for (const home of homes) rmSync(home, { recursive: true, force: true });
  });

  /** A test agent with a home of its own; its n-th prompt plays the n-th script. */
  function agent(scripts: Step[][], quirks: Step = {}, rest: AgentRecipe = {}): AgentRecipe & { home: string } {
    const home = mkdtempSync(join(tmpdir(), 'kandev-test-agent-'));
    homes.push(home);
    const environment_vars = {
      HOME: home,
      TEST_AGENT_SCRIPT: JSON.stringify(scripts),
      TEST_AGENT_QUIRKS: JSON.stringify(quirks),
    };
    const command = [process.execPath, program];
    return { runtime: 'process', protocol: 'agent-client-protocol', command, environment_vars, ...rest, home };
  }

  const task = ({ home: _, ...recipe }: AgentRecipe & { home: string }) => bench.task(recipe);
  const received = (home: string) =>
    readFileSync(join(home, '.test-agent/received.ndjson'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { method?: string; id?: number });
  const words = async (taskId: string) =>
    (await bench.stream(taskId)).filter(
      ({ data }) => (data['metadata'] as Step | undefined)?.['kind'] === 'agent_message',
    );
  const prompts = async (taskId: string) =>
    (await bench.admin.get<{ prompts: PromptBody[] }>(`/orchestrator/tasks/${taskId}/prompts`)).body.prompts;
  const pending = (taskId: string) =>
    until('a permission request', async () => {
      const { body } = await bench.admin.get<{ approvals: ApprovalBody[] }>(
        `/orchestrator/approvals?task_id=${taskId}`,
      );
      return body.approvals[0];
    });

  it('takes the task as its first prompt, and ends with the turn', async () => {
    const recipe = agent([[{ say: 'I have done it.', chunks: 3 }]]);
    const taskId = await task(recipe);
    await bench.start(taskId);
    expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
    expect((await words(taskId)).map(({ data }) => data['message']).join('')).toBe('I have done it.');
    expect(await prompts(taskId)).toMatchObject([{ kind: 'first', state: 'COMPLETED', stop_reason: 'end_turn' }]);
    expect((await prompts(taskId))[0]?.text).toContain('To be done.');
    const result = (await bench.stream(taskId)).filter(({ type }) => type === 'result');
    expect(result).toMatchObject([{ data: { status: 'completed', summary: 'I have done it.' } }]);
    expect(received(recipe.home).map(({ method }) => method)).toEqual(['initialize', 'session/new', 'session/prompt']);
  });

  it('waits for a person where the agent asks, and tells it once', async () => {
    const recipe = agent([[{ edit: { path: 'a.txt', content: 'new', ask: true } }, { say: 'Written.' }]]);
    const taskId = await task(recipe);
    await bench.start(taskId);
    const { id, options } = await pending(taskId);
    await until('the task to be blocked', async () => (await bench.status(taskId)).state === 'BLOCKED');
    const allow = options.find(({ kind }) => kind === 'allow_once')?.option_id;
    const answers = await Promise.all(
      [allow, allow].map((option_id) => bench.admin.post(`/orchestrator/approvals/${id}`, { option_id })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200]); // the same user, the same answer
    expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
    expect(readFileSync(join(bench.workspace(taskId), 'a.txt'), 'utf8')).toBe('new');
    expect(received(recipe.home).filter(({ method }) => method === undefined)).toHaveLength(1);
  });

  it('goes on with the same session when it is asked for more', async () => {
    const recipe = agent([[{ say: 'First.' }], [{ say: 'Second.' }]]);
    const taskId = await task(recipe);
    await bench.start(taskId);
    await bench.ended(taskId);
    const { status } = await bench.admin.post(`/orchestrator/tasks/${taskId}/prompts`, { text: 'And now the rest.' });
    expect(status).toBe(202);
    await until('the second prompt to be done', async () => {
      const all = await prompts(taskId);
      return all.length === 2 && all[1]?.state === 'COMPLETED';
    });
    expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
    expect((await words(taskId)).map(({ data }) => data['message'])).toEqual(['First.', 'Second.']);
    expect(received(recipe.home).map(({ method }) => method)).toEqual([
      ...['initialize', 'session/new', 'session/prompt'],
      ...['initialize', 'session/load', 'session/prompt'],
    ]);
  });

  it('hears what comes in the middle of a turn: after it, or at once', async () => {
    const recipe = agent([[{ say: 'Working.' }, { wait: 'cancel' }], [{ say: 'As you wish.' }]]);
    const taskId = await task(recipe);
    await bench.start(taskId);
    await until('the turn to be on', async () => (await words(taskId)).length > 0);
    const text = 'Do something else.';
    await bench.admin.post(`/orchestrator/tasks/${taskId}/prompts`, { text, interrupt: true });
    expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
    expect(await prompts(taskId)).toMatchObject([{ state: 'CANCELLED' }, { state: 'COMPLETED' }]);
    expect((await words(taskId)).map(({ data }) => data['message'])).toEqual(['Working.', 'As you wish.']);
  });

  it('is stopped in an orderly way', async () => {
    const recipe = agent([[{ say: 'Working.' }, { wait: 'cancel' }]]);
    const taskId = await task(recipe);
    await bench.start(taskId);
    await until('the turn to be on', async () => (await words(taskId)).length > 0);
    await bench.admin.post(`/orchestrator/tasks/${taskId}/stop`, {});
    expect(await bench.ended(taskId)).toMatchObject(CANCELLED);
    expect(received(recipe.home).at(-1)?.method).toBe('session/cancel');
  });

  it('goes on in the middle of a turn after the server was killed', async () => {
    const recipe = agent([
      [{ say: 'Before.' }, { edit: { path: 'b.txt', content: 'x', ask: true } }, { say: 'After.' }],
    ]);
    const taskId = await task(recipe);
    await bench.start(taskId);
    const before = await pending(taskId);
    const { agent_instance_id } = await bench.status(taskId);
    await bench.server.kill();
    await bench.server.start();
    const { id, options } = await pending(taskId);
    expect(id).toBe(before.id);
    await bench.admin.post(`/orchestrator/approvals/${id}`, { option_id: options[0]?.option_id });
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...COMPLETED, instance: { id: agent_instance_id } });
    const said = (await words(taskId)).map(({ data }) => String(data['message']));
    expect([said[0], said.at(-1)]).toEqual(['Before.', 'After.']);
    const methods = received(recipe.home).map(({ method }) => method);
    expect(methods).toEqual(['initialize', 'session/new', 'session/prompt', undefined]);
  });

  it.each<[string, Step[][], Step, string]>([
    ['a key that is missing', [[]], { auth_required: true }, 'session.auth_required'],
    ['a refusal', [[{ stop: 'refusal' }]], {}, 'session.refused'],
    ['an error of its provider', [[{ fail: { code: -32603, message: 'quota' } }]], {}, 'session.prompt_failed'],
    ['an end in the middle', [[{ exit: 0 }]], {}, 'session.agent_gone'],
    ['an end with a code', [[{ exit: 3 }]], {}, 'agent.exit_code'],
    [
      'another version of the protocol',
      [[]],
      { on: { initialize: { patch: { protocolVersion: 9 } } } },
      'session.version_unsupported',
    ],
  ])('ends readably: %s', async (_, scripts, quirks, failure_code) => {
    const taskId = await task(agent(scripts, quirks));
    await bench.start(taskId);
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...FAILED, failure_code });
    expect(ended.message?.length).toBeGreaterThan(10);
  });
});
