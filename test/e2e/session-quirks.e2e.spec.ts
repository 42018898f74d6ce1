import { afterAll, beforeAll, expect, it } from 'vitest';
import { CANCELLED, COMPLETED, FAILED, type AgentRecipe } from '../support/agents.js';
import { DialogueBench, type DialogueRecipe, type Step } from '../support/dialogue-bench.js';
import { until } from '../support/until.js';

/** What an agent does, and how its run ends. */
interface Case {
  scripts?: Step[][];
  quirks?: Step;
  recipe?: AgentRecipe;
  /** Of its failure; null where it completes. */
  code: string | null;
  /** What people read, or what the agent has said. */
  text?: RegExp;
  /** Of one of the messages on its stream. */
  kind?: string;
  /** Told after its first turn. */
  follow_up?: string;
  /** Somebody stops it as soon as it is at work. */
  stop?: true;
}

const SAY = [[{ say: 'Done.' }]];
const on = (method: string, what: Step): Step => ({ on: { [method]: what } });
/** Whoever is silent is so for this long: the shortest there is. */
const SILENT: AgentRecipe = { task_timeouts: { inactivity_timeout_seconds: 1 } };
const MIB = 1024 * 1024;

const CASES: Record<string, Case> = {
  // Opening
  'initialize: no answer': { quirks: on('initialize', { never: true }), recipe: SILENT, code: 'agent.inactive' },
  'initialize: an error': {
    quirks: on('initialize', { error: { code: -32603, message: 'no licence' } }),
    ...{ code: 'session.initialize_failed', text: /no licence/ },
  },
  'initialize: another version': {
    quirks: on('initialize', { patch: { protocolVersion: 9 } }),
    ...{ code: 'session.version_unsupported', text: /version 9 .* not 1/ },
  },
  'initialize: no version': {
    quirks: on('initialize', { patch: { protocolVersion: 'one' } }),
    code: 'session.protocol_violation',
  },
  'initialize: two answers': { quirks: on('initialize', { twice: true }), scripts: SAY, code: null, kind: 'note' },
  'initialize: late': { quirks: on('initialize', { delay_ms: 300 }), scripts: SAY, code: null },
  'initialize: half an answer': {
    quirks: on('initialize', { half_answer_and_exit: 0 }),
    ...{ code: 'session.agent_gone', text: /ended/ },
  },
  'initialize: ends': { quirks: on('initialize', { exit: 4 }), code: 'agent.exit_code', text: /4/ },
  'initialize: killed': { quirks: on('initialize', { kill: 'SIGKILL' }), code: 'agent.killed' },
  'authentication: no key': {
    quirks: { auth_required: true },
    ...{ code: 'session.auth_required', text: /authenticated.*Key \(key/ },
  },
  'authentication: a key': {
    quirks: { auth_required: true },
    recipe: { environment_vars: { TEST_AGENT_KEY: 'k' } },
    ...{ scripts: SAY, code: null },
  },
  'session/new: an error': {
    quirks: on('session/new', { error: { code: -32603, message: 'no space' } }),
    ...{ code: 'session.open_failed', text: /no space/ },
  },
  'session/new: no id': {
    quirks: on('session/new', { patch: { sessionId: 7 } }),
    ...{ code: 'session.protocol_violation', text: /session id/ },
  },
  'session/new: no answer': { quirks: on('session/new', { never: true }), recipe: SILENT, code: 'agent.inactive' },
  'session/load: there is none': {
    ...{ quirks: { no_load: true }, scripts: SAY, follow_up: 'More.', code: null },
    kind: 'session_not_loaded',
  },
  'session/load: an error': {
    quirks: on('session/load', { error: { code: -32603, message: 'lost' } }),
    ...{ scripts: SAY, follow_up: 'More.', code: null, kind: 'session_not_loaded' },
  },
  'session/load: repeats late': { quirks: { late_replay: 2 }, scripts: SAY, follow_up: 'More.', code: null },
  'session/load: another name': { quirks: { load_as: 'other' }, scripts: SAY, follow_up: 'More.', code: null },
  // Turns
  'a refusal': { scripts: [[{ stop: 'refusal' }]], code: 'session.refused', text: /refuses/ },
  max_tokens: { scripts: [[{ stop: 'max_tokens' }]], code: 'session.max_tokens', text: /tokens/ },
  max_turn_requests: { scripts: [[{ stop: 'max_turn_requests' }]], code: 'session.max_turn_requests' },
  'cancelled by nobody': { scripts: [[{ stop: 'cancelled' }]], code: 'session.cancelled', text: /nobody/ },
  'a reason that is new': { scripts: [[{ say: 'Done.' }, { stop: 'enough' }]], code: null },
  'a turn without a reason': {
    quirks: on('session/prompt', { patch: { stopReason: 7 } }),
    ...{ scripts: SAY, code: null, kind: 'no_stop_reason' },
  },
  'an error': {
    scripts: [[{ fail: { code: -32603, message: 'bad key' } }]],
    code: 'session.prompt_failed',
    text: /bad key/,
  },
  'a limit of its provider': {
    scripts: [[{ fail: { code: 429, message: 'Too Many Requests' } }]],
    ...{ code: 'session.rate_limited', text: /takes no more requests/ },
  },
  'two answers to a prompt': { quirks: on('session/prompt', { twice: true }), scripts: SAY, code: null },
  'an answer late': { quirks: on('session/prompt', { delay_ms: 200 }), scripts: SAY, code: null },
  'silent for ever': { quirks: { silent: true }, recipe: SILENT, code: 'agent.inactive', text: /nothing for 1 s/ },
  'silent in a turn': {
    scripts: [[{ wait: 'cancel' }]],
    recipe: SILENT,
    code: 'agent.inactive',
    text: /nothing for 1 s/,
  },
  'silent, and minds no cancel': {
    ...{ scripts: [[{ hang: true }]], quirks: { ignore_cancel: true, ignore_sigterm: true } },
    ...{ recipe: SILENT, code: 'agent.inactive' },
  },
  'minds neither cancel nor SIGTERM': {
    ...{ scripts: [[{ say: 'On.' }, { hang: true }]], quirks: { ignore_cancel: true, ignore_sigterm: true } },
    ...{ stop: true, code: 'agent.stopped' },
  },
  'minds no SIGTERM when it is done': { scripts: SAY, quirks: { ignore_sigterm: true }, code: null },
  // Ends
  'exit 0 in a turn': { scripts: [[{ say: 'On.' }, { exit: 0 }]], code: 'session.agent_gone', text: /ended/ },
  'exit 3 in a turn': { scripts: [[{ exit: 3 }]], code: 'agent.exit_code', text: /3/ },
  'a signal in a turn': { scripts: [[{ kill: 'SIGKILL' }]], code: 'agent.killed' },
  'half a line, and an end': { scripts: [[{ say: 'On.' }, { die_in_line: 0 }]], code: 'session.agent_gone' },
  'ends while it waits for an answer': { scripts: [[{ ask: { exit_after_ms: 50 } }]], code: 'agent.exit_code' },
  // Frames
  noise: {
    quirks: { noise_before: ['Loading …', '{"half":', '[]', 'null'], noise_between: 'debug: {}' },
    ...{ scripts: SAY, code: null },
  },
  'frames in halves': { quirks: { half_line_pause_ms: 20 }, scripts: SAY, code: null },
  'split characters': {
    ...{ quirks: { split_utf8: true }, scripts: [[{ say: 'Grüße, 世界 🙂' }]], code: null, text: /^Grüße, 世界 🙂$/ },
  },
  'a large frame': { scripts: [[{ giant: 2 * MIB }, { say: 'Done.' }]], code: null, text: /Done\.$/ },
  'a giant frame': {
    scripts: [[{ giant: 34 * MIB }, { say: 'Done.' }]],
    ...{ code: 'session.frame_too_long', text: /too long/ },
  },
  'noise on stderr': { quirks: { stderr_flood_bytes: 200_000 }, scripts: SAY, code: null },
  'an answer to nothing': {
    scripts: [[{ raw: '{"jsonrpc":"2.0","id":4711,"result":{}}\n' }, { say: 'Done.' }]],
    ...{ code: null, kind: 'note' },
  },
  'requests that are not offered': {
    scripts: [[{ request: { method: 'fs/read_text_file', params: { path: '/etc/passwd' } } }]],
    ...{ code: null, text: /-32601/ },
  },
  'a notification of its own': {
    scripts: [[{ notify: { method: '_x/telemetry', params: {} } }, { say: 'Done.' }]],
    ...{ code: null, kind: 'note' },
  },
  'a session of somebody else': {
    scripts: [[{ other_session: 'Psst.' }, { say: 'Done.' }]],
    code: null,
    text: /^Done\.$/,
  },
  'a request that is none': {
    scripts: [[{ raw: '{"jsonrpc":"2.0","id":{},"method":"x"}\n' }, { say: 'Done.' }]],
    ...{ code: null, kind: 'note' },
  },
};

let dialogues: DialogueBench;
/** At work from before the first until after the last of the others. */
let bystander: { id: string; recipe: DialogueRecipe };
const tasks = new Map<string, Promise<{ id: string; recipe: DialogueRecipe }>>();

beforeAll(async () => {
  dialogues = await DialogueBench.open({ KANDEV_STOP_GRACE_SECONDS: '1', KANDEV_MAX_CONCURRENT_RUNS: '24' });
  const recipe = dialogues.agent([[{ say: 'Here.' }, { ask: { title: 'Now?' } }]]);
  bystander = { id: await dialogues.begin(recipe), recipe };
  await dialogues.pending(bystander.id);
  for (const [name, { scripts = [], quirks, recipe: rest }] of Object.entries(CASES)) {
    const of = dialogues.agent(scripts, quirks, rest);
    const begun = dialogues.begin(of).then((id) => ({ id, recipe: of }));
    begun.catch(() => undefined); // told by its test
    tasks.set(name, begun);
  }
});
afterAll(() => dialogues.close());

const prompt = (id: string, text: string) =>
  dialogues.bench.admin.post(`/orchestrator/tasks/${id}/prompts`, { text }).then(({ status }) => status);

it.each(Object.entries(CASES))('%s', async (name, { code, text, kind, follow_up, stop }) => {
  const { id } = await tasks.get(name)!;
  if (stop) {
    await until('its turn', async () => (await dialogues.words(id)) !== '');
    await dialogues.bench.admin.post(`/orchestrator/tasks/${id}/stop`, {});
  }
  const first = await dialogues.bench.ended(id);
  if (follow_up !== undefined) {
    expect(first).toMatchObject(COMPLETED);
    expect(await prompt(id, follow_up)).toBe(202);
    await until('the next run', async () => (await dialogues.bench.status(id)).run_id !== first.instance.run_id);
  }
  const ended = await dialogues.bench.ended(id);
  if (code === null) expect(ended).toMatchObject(COMPLETED);
  else expect(ended).toMatchObject({ ...(stop ? CANCELLED : FAILED), failure_code: code });
  if (text) expect(code === null ? await dialogues.words(id) : ended.message).toMatch(text);
  if (code !== null) expect(ended.message?.length).toBeGreaterThan(10);
  if (kind !== undefined) expect(await dialogues.told(id, kind)).not.toEqual([]);
});

it('a limit of the provider parks the run for as long, without a place; then it goes on', async () => {
  const retry_policy = { max_attempts: 2, backoff_seconds: 1, max_backoff_seconds: 1 };
  const fail = { code: 429, message: 'Too Many Requests', data: { retry_after: 2 } };
  const recipe = dialogues.agent(SAY, { starts: 1, ...on('session/prompt', { error: fail }) }, { retry_policy });
  const id = await dialogues.begin(recipe);
  const parked = await until('the run to be parked', async () => {
    const status = await dialogues.bench.status(id);
    return status.waiting_for?.reason === 'retry_after' && status;
  });
  expect(parked).toMatchObject({ run_state: 'QUEUED', state: 'IN_PROGRESS' });
  expect(await dialogues.bench.ended(id)).toMatchObject(COMPLETED);
  const prompts = dialogues.received(recipe).filter(({ method }) => method === 'session/prompt');
  expect(prompts).toHaveLength(2);
});

it('none of that has touched another run', async () => {
  const { id, recipe } = bystander;
  const request = await dialogues.pending(id);
  const option_id = request.options.find(({ kind }) => kind === 'allow_once')?.option_id;
  await dialogues.bench.admin.post(`/orchestrator/approvals/${request.id}`, { option_id });
  expect(await dialogues.bench.ended(id)).toMatchObject(COMPLETED);
  expect(await dialogues.words(id)).toBe(`Here.permission: ${option_id}`);
  expect(dialogues.received(recipe).map(({ method }) => method)).toEqual([
    ...['initialize', 'session/new', 'session/prompt'],
    undefined,
  ]);
});
