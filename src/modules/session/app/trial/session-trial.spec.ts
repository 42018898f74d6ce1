import { describe, expect, it } from 'vitest';
import type { TrialFacts, TrialPlan } from '../../../agent/contracts/trial-dialogues.js';
import { SessionTrial } from './session-trial.js';

const START = Date.parse('2026-11-28T10:00:00Z');
const PLAN: TrialPlan = {
  ...{ cwd: '/workspace', quirks: {}, session: null, prompt: null, answer: 'deny', asks_unknown: false },
};
const HELLO = { protocolVersion: 1, agentInfo: { name: 'a', version: '2' }, agentCapabilities: { loadSession: true } };

type Frame = { id?: unknown; method?: string; params?: Record<string, unknown>; result?: unknown };

/** A trial whose agent answers by a table of methods, each 10 ms after it was asked; what was sent, and what is known. */
function talk(plan: Partial<TrialPlan>, answers: Record<string, (frame: Frame) => object[]>) {
  const trial = new SessionTrial({ ...PLAN, ...plan }, { name: 'test', version: '1' });
  const sent: Frame[] = [];
  let rest = '';
  let step = trial.step([], new Date(START));
  for (let n = 1; n < 1_000 && !step.over; n++) {
    const lines = (rest + Buffer.concat(step.pieces).toString()).split('\n');
    rest = lines.pop()!;
    const frames = lines.map((line) => JSON.parse(line) as Frame);
    sent.push(...frames);
    const said = frames.flatMap((frame) => (answers[frame.method ?? 'answer'] ?? (() => []))(frame));
    const heard = said.map((frame) => ({ line: JSON.stringify({ jsonrpc: '2.0', ...frame }) }));
    step = trial.step(heard, new Date(START + n * 10));
  }
  return { sent, over: step.over, facts: trial.facts };
}

const result =
  (value: object) =>
  ({ id }: Frame): object[] => [{ id, result: value }];
const error =
  (code: number) =>
  ({ id }: Frame): object[] => [{ id, error: { code, message: 'no' } }];
const OPEN = { initialize: result(HELLO), 'session/new': result({ sessionId: 's' }) };

describe('a trial of an agent', () => {
  it('asks for what it can and for a session, and takes the time', () => {
    const { facts, sent, over } = talk({}, OPEN);
    expect(over).toBe(true);
    expect(sent.map(({ method }) => method)).toEqual(['initialize', 'session/new']);
    expect(facts).toMatchObject({
      ...{ initialize_ms: 10, protocol_version: 1, agent: { name: 'a', version: '2' }, failure: null, waits_for: [] },
      capabilities: { load: true, resume: false, list: false },
      session: { session_id: 's', how: 'new', ms: 10 },
    } satisfies Partial<Record<keyof TrialFacts, unknown>>);
  });

  it.each([
    ['session.version_unsupported', { initialize: result({ ...HELLO, protocolVersion: 7 }) }],
    ['session.initialize_failed', { initialize: error(-32603) }],
    ['session.initialize_timeout', {}],
    ['session.open_failed', { ...OPEN, 'session/new': error(-32603) }],
    ['session.auth_required', { ...OPEN, 'session/new': error(-32000) }],
  ])('is over with %s', (code, answers) => {
    // The server's own limit for initialize is 90 s: steps of 10 ms do not come that far.
    const { facts, over } = talk({}, answers);
    if (code === 'session.initialize_timeout')
      return expect([over, facts.waits_for, facts.failure]).toEqual([false, ['initialize'], null]);
    expect(over).toBe(true);
    return expect(facts).toMatchObject({ failure: { code }, session: null });
  });

  it('asks for a method that there is not, also where no session is opened, in pieces that end within characters', () => {
    const answers = { ...OPEN, 'session/new': error(-32000), '_kandev/check': error(-32601) };
    const { facts, sent, over } = talk({ asks_unknown: true }, answers);
    expect(over).toBe(true);
    expect(sent.at(-1)).toMatchObject({ method: '_kandev/check', params: { text: 'ä€😀' } });
    expect(facts).toMatchObject({ asked_unknown: true, unknown_method: { code: -32601, ms: 10 } });
  });

  it('goes on where nobody answers that', () => {
    const { facts, over } = talk({ asks_unknown: true }, OPEN);
    expect(over).toBe(true);
    expect(facts).toMatchObject({ asked_unknown: true, unknown_method: null });
  });

  it.each([
    ['deny', 'no'],
    ['allow', 'yes'],
  ] as const)('has a turn, answers %s to what it is asked, and cancels the next', (answer, option_id) => {
    const options = [
      { optionId: 'always', name: 'Always', kind: 'allow_always' },
      { optionId: 'yes', name: 'Yes', kind: 'allow_once' },
      { optionId: 'no', name: 'No', kind: 'reject_once' },
    ];
    const asking = { sessionId: 's', toolCall: { toolCallId: 't', title: 'Write' }, options };
    let prompts = 0;
    let prompted: unknown;
    const { facts, sent, over } = talk(
      { prompt: 'go', answer },
      {
        ...OPEN,
        'session/prompt': ({ id }) => {
          prompted = id;
          prompts++;
          return prompts === 1 ? [{ id: 'p', method: 'session/request_permission', params: asking }] : [];
        },
        answer: () => [{ id: prompted, result: { stopReason: 'end_turn' } }],
        'session/cancel': () => [{ id: prompted, result: { stopReason: 'cancelled' } }],
      },
    );
    expect(over).toBe(true);
    expect(sent).toContainEqual({
      jsonrpc: '2.0',
      id: 'p',
      result: { outcome: { outcome: 'selected', optionId: option_id } },
    });
    expect(facts.permissions).toMatchObject([{ title: 'Write', option_id, resumed_ms: 10 }]);
    expect(facts).toMatchObject({ turn: { stop_reason: 'end_turn' }, cancel: { stop_reason: 'cancelled', ms: 10 } });
  });

  it('says why a session is not loaded', () => {
    const session = { session_id: 'old', created_at: new Date(START).toISOString() };
    const { facts } = talk({ session }, { ...OPEN, 'session/load': error(-32603) });
    expect(facts.session).toMatchObject({ how: 'new' });
    expect(facts.not_loaded).toContain('could not be loaded');
  });

  it('counts what is no frame, and does not look at the rest of a line that was too long', () => {
    const trial = new SessionTrial(PLAN, { name: 'test', version: '1' });
    trial.step([], new Date(START));
    trial.step([{ line: 'hello\u001b[2J' }, { line: 'there' }, { too_long: 99 }, { line: 'rest' }], new Date(START));
    expect(trial.facts.noise).toEqual({ lines: 2, example: 'hello [2J' });
    expect(trial.facts).toMatchObject({ longest_line_bytes: 99, failure: { code: 'session.frame_too_long' } });
  });
});
