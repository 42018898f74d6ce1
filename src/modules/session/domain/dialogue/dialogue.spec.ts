import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DialogueDriver, OPENING, START, updateOf, words } from '../../../../../test/support/dialogue-driver.js';
import type { DialogueEvent, ToolCallView } from '../../contracts/dialogue.types.js';
import { step, steps, type Step } from './dialogue.js';
import { jsonBytes } from './lenient.js';
import { MAX_PERMISSIONS, MAX_STATE_BYTES } from './limits.js';
import { newDialogue, type DialogueState } from './state.js';
import { together } from './tool-told.js';

const RUNS = 120; // some 2 s
const TIMEOUT = 60_000; // ten times that on a busy machine, and what it takes to make a failure small
const lineOf = (frame: unknown): DialogueEvent => ({ type: 'line', text: JSON.stringify(frame) });
const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  oneOf('x'.repeat(30_000), '\u0001'.repeat(9_000), '€"'.repeat(9_000), '\ud800', '__proto__', 'constructor'),
);
const anyJson = fc.jsonValue({ maxDepth: 3 });
/** Something of the right shape, or anything. */
const some = (...values: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 9, arbitrary: oneOf(...values) }, anyJson);
const agentId = fc.oneof(oneOf<unknown>(0, 1, 2, 'a', null, -0, 1.5, 2 ** 60), anyText);

const content = fc.oneof(
  fc.record({ type: fc.constant('text'), text: anyText }),
  fc.record({ type: some('image', 'audio', 'resource', 'resource_link'), data: anyText, resource: anyJson }),
);
const update = fc.oneof(
  fc.record({
    sessionUpdate: oneOf('agent_message_chunk', 'agent_thought_chunk', 'user_message_chunk'),
    content,
    messageId: some('m', null),
  }),
  fc.record(
    {
      sessionUpdate: oneOf('tool_call', 'tool_call_update'),
      toolCallId: fc.oneof(oneOf<unknown>('t1', 't2', 't3'), anyText),
      title: fc.oneof(anyText, anyJson),
      status: some('pending', 'completed', 'failed'),
      content: fc.array(
        fc.record({ type: some('content', 'diff', 'terminal'), content, newText: anyText, path: anyText }),
      ),
      locations: fc.array(fc.record({ path: anyText, line: some(1, -0) })),
      rawInput: fc.oneof(anyText, anyJson),
    },
    { requiredKeys: ['sessionUpdate', 'toolCallId'] },
  ),
  fc.record({
    sessionUpdate: some('plan', 'usage_update', 'current_mode_update', 'config_option_update', 'notice', 'constructor'),
    ...{ entries: anyJson, used: some(-0, 5), cost: some({ amount: 1, currency: 'USD' }), currentModeId: anyText },
    ...{ configOptions: anyJson, title: anyText, severity: anyText },
  }),
);
const sessionId = fc.oneof({ weight: 6, arbitrary: oneOf('s1') }, oneOf('s0', 'other'));
const optionIds = fc.oneof({ weight: 4, arbitrary: oneOf('no') }, anyText);
const permission = fc.tuple(agentId, sessionId, optionIds).map(([id, session, text]) => ({
  ...{ jsonrpc: '2.0', id, method: 'session/request_permission' },
  params: { sessionId: session, toolCall: { toolCallId: 't1' }, options: [{ optionId: 'yes' }, { optionId: text }] },
}));
const RESULTS = [
  { stopReason: 'end_turn' },
  { stopReason: 'refusal' },
  { sessionId: 's1' },
  { protocolVersion: 1 },
  {},
];
const response = fc.record(
  {
    ...{ jsonrpc: fc.constant('2.0'), id: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 8 }) }, agentId) },
    ...{ result: some(...RESULTS), error: some({ code: -32000 }, { message: 'no', data: {} }) },
  },
  { requiredKeys: ['jsonrpc', 'id'] },
);
const frame = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(update, sessionId).map(([one, id]) => updateOf(one, id)) },
  { weight: 5, arbitrary: permission },
  { weight: 4, arbitrary: response },
  oneOf('fs/read', 'session/update', '\u0000').chain((method) => agentId.map((id) => ({ jsonrpc: '2.0', id, method }))),
  agentId.map((requestId) => ({ jsonrpc: '2.0', method: '$/cancel_request', params: { requestId } })),
  anyJson,
);
const promptOf = (id: string): DialogueEvent => ({
  type: 'prompt',
  prompt_id: id,
  content: [{ type: 'text', text: 'x' }],
});
const ends: DialogueEvent[] = [
  ...[{ type: 'finish' as const }, { type: 'gone' as const }, { type: 'cancel' as const, reason: 'stop' as const }],
  { type: 'too_long', bytes: 9, head: '{' },
];
const event: fc.Arbitrary<DialogueEvent> = fc.oneof(
  { weight: 20, arbitrary: fc.oneof({ weight: 5, arbitrary: frame }, fc.array(frame, { maxLength: 3 })).map(lineOf) },
  fc.record({ type: fc.constant('line'), text: anyText }),
  { weight: 2, arbitrary: oneOf(promptOf('p1'), promptOf('p2')) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('answer'),
      key: oneOf('1', '2', '3'),
      option_id: oneOf('yes', 'no', null),
    }),
  },
  oneOf<DialogueEvent>({ type: 'cancel', reason: 'interrupt' }, { type: 'cancel', reason: 'inactive' }),
  fc.record({ type: fc.constant('set_mode'), mode_id: oneOf('plan', 'x') }),
  oneOf<DialogueEvent>({ type: 'time' }, { type: 'time' }, { type: 'begun', opening: OPENING }, ...ends),
);

const modes = { currentModeId: 'a', availableModes: [{ id: 'a' }, { id: 'plan' }] };
const START_OF: DialogueEvent[] = [
  { type: 'begun', opening: OPENING },
  lineOf({ jsonrpc: '2.0', id: 1, result: { protocolVersion: 1, agentCapabilities: { loadSession: true } } }),
  lineOf({ jsonrpc: '2.0', id: 2, result: { sessionId: 's1', modes } }),
  { type: 'prompt', prompt_id: 'p0', content: [{ type: 'text', text: 'Go' }] },
];
const LOADING: DialogueEvent[] = [
  {
    type: 'begun',
    opening: {
      ...OPENING,
      session: { session_id: 's1', created_at: START.toISOString() },
      mode_id: 'plan',
      quirks: { load_min_age_seconds: 1, replay_settle_ms: 1_000, auth_method: 'key' },
    },
  },
  START_OF[1]!,
  lineOf({ jsonrpc: '2.0', id: 2, result: {} }),
];
const story = fc
  .tuple(oneOf(START_OF, START_OF, LOADING, []), fc.array(event, { maxLength: 30, size: 'max' }))
  .map(([start, rest]) => [...start, ...rest]);

/** What may not be: found out about after each event. */
class Watch {
  private readonly asked = new Map<string, number>();
  private readonly answered = new Map<string, number>();
  private readonly sent = new Set<unknown>();
  private readonly open = new Set<string>();

  sees(heard: DialogueEvent, result: Step): void {
    const { state, frames, opened, closed, wake_at } = result;
    const json = JSON.stringify(state);
    expect(isDeepStrictEqual(JSON.parse(json), state)).toBe(true);
    expect(Buffer.byteLength(json)).toBeLessThanOrEqual(MAX_STATE_BYTES);
    expect(wake_at).toBe(state.deadline);
    if (heard.type === 'line') this.hears(heard.text);
    for (const { id, method } of frames) {
      if (method === undefined) count(this.answered, id);
      else if (id !== undefined) {
        expect(Number.isSafeInteger(id) && !this.sent.has(id)).toBe(true);
        this.sent.add(id);
      }
    }
    for (const [id, times] of this.answered) {
      if (id !== 'null') expect(times).toBeLessThanOrEqual(this.asked.get(id) ?? 0);
    }
    for (const { key } of opened) {
      expect(this.open.has(key)).toBe(false);
      this.open.add(key);
    }
    for (const { key } of closed) expect(this.open.delete(key)).toBe(true);
    expect([...this.open]).toEqual(state.permissions.map(({ key }) => key));
    expect(JSON.stringify(result.messages)).not.toMatch(/[^\\]\\u0000|[^\\]\\ud[89a-f]/);
    if (state.phase === 'closed')
      expect(state).toMatchObject({ turn: null, permissions: [], requests: [], deadline: null });
  }

  private hears(text: string): void {
    try {
      const parsed: unknown = JSON.parse(text);
      for (const one of Array.isArray(parsed) ? (parsed as unknown[]) : [parsed]) {
        if (typeof one === 'object' && one !== null && 'method' in one && 'id' in one) count(this.asked, one.id);
      }
    } catch {
      // plain text
    }
  }
}

function count(counts: Map<string, number>, id: unknown): void {
  const key = JSON.stringify(id);
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value))
    Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

/** What remains the same wherever events are split: texts by part; of a tool call all that is said of each status. */
function told(all: Step[]): unknown[] {
  const parts: { what: string; message: string; data: unknown }[] = [];
  for (const { type, data } of all.flatMap(({ messages }) => messages)) {
    const about = data['metadata'] as Record<string, unknown>;
    const call = about['tool_call'] as ToolCallView | undefined;
    const isText = 'part' in about && !('content' in about);
    const what = `${type} ${String(about['kind'])} ${isText ? `${String(about['turn'])} ${String(about['part'])}` : ''}${call?.tool_call_id} ${call?.status}`;
    const message = String(data['message']);
    const last = parts.at(-1);
    if (isText && last?.what === what) last.message += message;
    else if (call && last?.what === what) {
      const { metadata } = last.data as { metadata: { tool_call: ToolCallView } };
      const tool_call = together(metadata.tool_call, call);
      parts[parts.length - 1] = { what, message, data: { ...data, metadata: { ...about, tool_call } } };
    } else parts.push({ what, message, data: isText ? null : data });
  }
  return parts;
}

describe('a dialogue', () => {
  it(
    'holds, whatever anybody says',
    () => {
      fc.assert(
        fc.property(story, fc.nat({ max: 60_000 }), (events, pause) => {
          const watch = new Watch();
          let state: DialogueState = newDialogue();
          events.forEach((one, n) => {
            const result = step(frozen(state), one, new Date(START.getTime() + n * pause));
            watch.sees(one, result);
            state = result.state;
          });
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT,
  );

  it(
    'is the same wherever the server was killed in between',
    () => {
      fc.assert(
        fc.property(story, fc.nat(), (events, cut) => {
          const at = cut % (events.length + 1);
          const whole = steps(newDialogue(), events, START);
          const first = steps(newDialogue(), events.slice(0, at), START);
          const second = steps(JSON.parse(JSON.stringify(first.state)) as DialogueState, events.slice(at), START);
          expect(isDeepStrictEqual(second.state, whole.state)).toBe(true);
          for (const name of ['frames', 'opened', 'closed', 'turns', 'refused'] as const) {
            expect([...first[name], ...second[name]]).toEqual(whole[name]);
          }
          expect(first.session ?? second.session).toEqual(whole.session);
          expect(first.ending ?? second.ending).toEqual(whole.ending);
          expect(told([first, second])).toEqual(told([whole]));
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT,
  );

  it('stays within its size when the agent fills all of it', () => {
    const agent = new DialogueDriver();
    agent.begins();
    const nasty = (n: number, length: number) => `${n}${'\u0001€'.repeat(length)}`.slice(0, length);
    const ways = Array.from({ length: 99 }, (_, n) => ({
      ...{ id: nasty(n, 20), name: nasty(n, 999) },
      vars: Array.from({ length: 99 }, () => ({ name: 'A'.repeat(64) })),
    }));
    const agentInfo = { name: nasty(1, 999), version: nasty(1, 999) };
    agent.answers({ protocolVersion: 1, authMethods: ways, agentInfo });
    const availableModes = Array.from({ length: 99 }, (_, n) => ({ id: nasty(n, 20), name: nasty(n, 999) }));
    agent.answers({ sessionId: nasty(1, 40), modes: { currentModeId: 'a', availableModes } });
    agent.prompts();
    for (let n = 0; n < MAX_PERMISSIONS + 1; n++) {
      const options = Array.from({ length: 99 }, (_, m) => ({ optionId: nasty(m, 50), name: 'x' }));
      const params = { sessionId: agent.state.session_id, toolCall: {}, options };
      agent.says({ jsonrpc: '2.0', id: nasty(n, 50), method: 'session/request_permission', params });
    }
    const block = { type: 'content', content: { type: 'text', text: '\u0001'.repeat(9_000) } };
    for (let n = 0; n < 20; n++) {
      agent.updates({
        sessionUpdate: 'tool_call',
        toolCallId: `t${n}`,
        content: Array.from({ length: n }, () => block),
      });
    }
    agent.updates(words('\u0001'.repeat(99_999)));
    expect(agent.state).toMatchObject({ phase: 'prompting', permissions: { length: MAX_PERMISSIONS } });
    expect(jsonBytes(agent.state)).toBeLessThan(MAX_STATE_BYTES);
  });
});
