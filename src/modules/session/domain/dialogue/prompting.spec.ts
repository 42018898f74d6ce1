import { beforeEach, describe, expect, it } from 'vitest';
import { DialogueDriver, words } from '../../../../../test/support/dialogue-driver.js';
import type { DialogueEvent } from '../../contracts/dialogue.types.js';
import { CANCEL_MS } from './limits.js';

let agent: DialogueDriver;
beforeEach(() => {
  agent = new DialogueDriver().opens();
});

describe('a prompt', () => {
  it('begins a turn, and its answer ends it', () => {
    agent.prompts();
    expect(agent.frames.at(-1)).toMatchObject({
      method: 'session/prompt',
      params: { sessionId: 's1', prompt: [{ type: 'text', text: 'Repair it' }] },
    });
    agent.updates(words('I have '), words('repaired it.'));
    expect(agent.answers({ stopReason: 'end_turn' })).toMatchObject({
      turns: [{ prompt_id: 'p1', turn: 1, stop_reason: 'end_turn', cancelled_by: null, usage: null, failure: null }],
      ...{ state: { phase: 'idle', turn: null }, ending: null },
    });
    expect(agent.texts()).toEqual(['Turn 1 has ended: end_turn.']);
    const { messages, ending, state } = agent.hear({ type: 'finish' });
    expect(messages).toMatchObject([
      { type: 'result', data: { status: 'completed', summary: 'I have repaired it.', metadata: { turns: 1 } } },
    ]);
    expect([ending, state.phase]).toEqual([null, 'closed']);
    expect(agent.hear({ type: 'finish' })).toMatchObject({ messages: [], refused: [{ event: 'finish' }] });
  });

  it('waits until the one before has ended', () => {
    agent.prompts();
    const next: DialogueEvent = { type: 'prompt', prompt_id: 'p2', content: [{ type: 'text', text: 'And that' }] };
    expect(agent.hear(next)).toMatchObject({ frames: [], refused: [{ subject: 'p2', code: 'session.not_ready' }] });
    agent.answers({ stopReason: 'end_turn' });
    expect(agent.hear(next).frames).toMatchObject([{ method: 'session/prompt' }]);
  });

  it('is sent in the terms that the agent takes', () => {
    const content = [
      { type: 'text', text: 'See' },
      { type: 'resource_link', uri: 'file:///workspace/a.ts', name: 'a.ts' },
      { type: 'resource', uri: 'file:///b.md', text: 'B' },
      { type: 'image', mime_type: 'image/png', data: 'AAAA', uri: 'file:///workspace/c.png' },
    ] as const;
    agent.hear({ type: 'prompt', prompt_id: 'p', content: [...content] });
    expect(agent.asked().params).toMatchObject({
      prompt: [
        { type: 'text', text: 'See' },
        { type: 'resource_link', uri: 'file:///workspace/a.ts', name: 'a.ts' },
        { type: 'text', text: 'The content of file:///b.md:\n\nB' },
        { type: 'resource_link', uri: 'file:///workspace/c.png', name: 'c.png', mimeType: 'image/png' },
      ],
    });
    const all = { image: true, embeddedContext: true };
    agent = new DialogueDriver().opens({}, { agentCapabilities: { promptCapabilities: all } });
    agent.hear({ type: 'prompt', prompt_id: 'p', content: [...content] });
    expect(agent.asked().params).toMatchObject({
      prompt: [{}, {}, { type: 'resource', resource: { text: 'B' } }, { type: 'image', data: 'AAAA' }],
    });
  });

  it('is refused where nothing can be made of it', () => {
    const image = { type: 'image', mime_type: 'image/png', data: 'AAAA' } as const;
    expect(agent.hear({ type: 'prompt', prompt_id: 'p', content: [image] }).refused).toMatchObject([
      { event: 'prompt', subject: 'p', code: 'session.image_unsupported' },
    ]);
    expect(
      agent.hear({ type: 'prompt', prompt_id: 'p', content: [{ type: 'text', text: ' ' }] }).refused,
    ).toMatchObject([{ code: 'session.prompt_empty' }]);
    expect(agent.state.phase).toBe('idle');
  });

  it.each([
    ['refusal', 'session.refused'],
    ['max_tokens', 'session.max_tokens'],
    ['max_turn_requests', 'session.max_turn_requests'],
    ['cancelled', 'session.cancelled'],
  ])('that ends with %s has failed as %s, and another one may follow', (stopReason, code) => {
    agent.prompts();
    expect(agent.answers({ stopReason })).toMatchObject({ turns: [{ failure: { code } }], ending: null });
    const finished = agent.hear({ type: 'finish' });
    expect(finished).toMatchObject({ ending: { code }, messages: [{ type: 'result', data: { status: 'failed' } }] });
    agent = new DialogueDriver().opens();
    agent.prompts();
    agent.answers({ stopReason });
    agent.prompts('Go on', 'p2').answers({ stopReason: 'end_turn' });
    expect(agent.hear({ type: 'finish' })).toMatchObject({ ending: null });
  });

  it('whose answer says nothing has ended all the same', () => {
    agent.prompts();
    expect(agent.answers(17)).toMatchObject({
      turns: [{ stop_reason: null, failure: null }],
      state: { phase: 'idle' },
    });
    expect(agent.last.messages[0]).toMatchObject({ level: 'warn' });
  });

  it('that fails is the end, with what the agent says', () => {
    agent.prompts();
    const { ending, turns } = agent.fails({ code: -32603, message: 'Internal error', data: 'API 400: bad model' });
    expect(ending).toEqual({
      code: 'session.prompt_failed',
      text: 'The agent could not work on the prompt: Internal error: API 400: bad model (-32603).',
    });
    expect(turns).toMatchObject([{ prompt_id: 'p1', failure: ending }]);
  });
});

describe('a turn that is cancelled', () => {
  it('is cancelled once, and the next prompt waits for its end', () => {
    agent.prompts();
    agent.asksPermission(0);
    expect(agent.hear({ type: 'cancel', reason: 'interrupt' })).toMatchObject({
      frames: [
        { method: 'session/cancel', params: { sessionId: 's1' } },
        { id: 0, result: { outcome: { outcome: 'cancelled' } } },
      ],
      closed: [{ key: '1', why: 'cancelled', option_id: null }],
      state: { phase: 'cancelling', permissions: [] },
    });
    expect(agent.hear({ type: 'cancel', reason: 'interrupt' }).frames).toEqual([]);
    expect(agent.asksPermission(1).frames).toMatchObject([{ id: 1, result: { outcome: { outcome: 'cancelled' } } }]);
    const next: DialogueEvent = { type: 'prompt', prompt_id: 'p2', content: [{ type: 'text', text: 'Rather that' }] };
    expect(agent.hear(next).refused).toHaveLength(1);
    const id = agent.frames.find(({ method }) => method === 'session/prompt')!.id;
    const ended = agent.says({ jsonrpc: '2.0', id, result: { stopReason: 'cancelled' } });
    expect(ended).toMatchObject({ turns: [{ cancelled_by: 'interrupt', failure: null }], state: { phase: 'idle' } });
    expect(agent.hear(next).frames).toMatchObject([{ method: 'session/prompt' }]);
  });

  it.each([
    { result: { stopReason: 'end_turn' } },
    { result: { stopReason: 'max_tokens' } },
    { result: null },
    { error: { code: -32603, message: 'aborted' } },
    { error: 'aborted' },
  ])('has ended well with %j', (answer) => {
    agent.prompts();
    agent.hear({ type: 'cancel', reason: 'interrupt' });
    agent.says({ jsonrpc: '2.0', id: agent.asked().id, ...answer });
    expect(agent.last).toMatchObject({ turns: [{ cancelled_by: 'interrupt', failure: null }], ending: null });
    expect(agent.state).toMatchObject({ phase: 'idle', deadline: null });
  });

  it('by a stop is the end; by silence a failure', () => {
    agent.prompts();
    agent.hear({ type: 'cancel', reason: 'interrupt' }, { type: 'cancel', reason: 'stop' });
    expect(agent.answers({ stopReason: 'cancelled' })).toMatchObject({ state: { phase: 'closed' }, ending: null });
    agent = new DialogueDriver().opens().prompts();
    agent.hear({ type: 'cancel', reason: 'inactive' });
    expect(agent.answers({ stopReason: 'cancelled' })).toMatchObject({ ending: { code: 'agent.inactive' } });
  });

  it.each([
    ['interrupt', { code: 'session.cancel_timeout' }],
    ['inactive', { code: 'agent.inactive' }],
    ['stop', null],
  ] as const)('by %s, whose agent does not hear it, ends without it', (reason, ending) => {
    agent.prompts();
    agent.hear({ type: 'cancel', reason });
    expect(agent.later(CANCEL_MS)).toMatchObject({ turns: [{ prompt_id: 'p1' }], state: { phase: 'closed' } });
    expect(agent.last.ending).toEqual(ending && expect.objectContaining(ending));
  });

  it('does not count as work done', () => {
    agent.prompts();
    agent.hear({ type: 'cancel', reason: 'interrupt' });
    agent.answers({ stopReason: 'cancelled' });
    expect(agent.hear({ type: 'finish' })).toMatchObject({ ending: { code: 'session.cancelled' } });
  });
});

describe('an agent that is gone', () => {
  it('is sent nothing, and nobody waits for it', () => {
    agent.prompts();
    agent.asksPermission(0);
    expect(agent.hear({ type: 'gone' })).toMatchObject({
      ...{ frames: [], closed: [{ key: '1', why: 'agent_gone' }], wake_at: null, ending: null },
      turns: [{ prompt_id: 'p1', stop_reason: null }],
      state: { phase: 'closed', requests: [] },
    });
  });
});

describe('what a turn has used', () => {
  it('is what the agent reports, in either form', () => {
    agent.prompts();
    const usage = { inputTokens: 100, outputTokens: 20, totalTokens: 150, cachedReadTokens: 30, thoughtTokens: -1 };
    expect(agent.answers({ stopReason: 'end_turn', usage }).turns[0]!.usage).toMatchObject({
      ...{ input_tokens: 100, output_tokens: 20, total_tokens: 150, cached_read_tokens: 30, thought_tokens: null },
    });
    agent.prompts('more', 'p2');
    const count = { input_tokens: 7, output_tokens: 3 };
    const _meta = { quota: { token_count: count, model_usage: [{ model: 'm', token_count: count }, 5] } };
    expect(agent.answers({ stopReason: 'end_turn', _meta }).turns[0]!.usage).toMatchObject({
      ...{ input_tokens: 7, output_tokens: 3, total_tokens: 10, models: [{ model: 'm', ...count }], cost: null },
    });
    expect(agent.texts()).toEqual(['Turn 2 has ended: end_turn. Tokens: 7 in, 3 out.']);
  });

  const costs = (amount: number) => ({
    sessionUpdate: 'usage_update',
    used: 5,
    size: 9,
    cost: { amount, currency: 'USD' },
  });

  it("is the turn's own part of the session's cost", () => {
    agent.prompts();
    agent.updates(costs(0.1));
    expect(agent.texts()).toEqual(['Context: 5 of 9 tokens. Cost of the session: 0.1 USD.']);
    expect(agent.answers({ stopReason: 'end_turn' }).turns[0]!.usage).toMatchObject({ cost: { amount: 0.1 } });
    agent.prompts('more', 'p2');
    agent.updates(costs(0.3));
    const { usage } = agent.answers({ stopReason: 'end_turn' }).turns[0]!;
    expect(usage).toMatchObject({ cost: { amount: 0.2, currency: 'USD' }, session_cost: { amount: 0.3 } });
  });

  it('is not guessed where a loaded session does not say what it had cost before', () => {
    agent = new DialogueDriver();
    agent.begins({ session: { session_id: 's0', created_at: '2026-01-01T00:00:00Z' } });
    agent.answers({ protocolVersion: 1, agentCapabilities: { loadSession: true } });
    agent.answers({});
    agent.prompts();
    agent.updates(costs(4));
    expect(agent.answers({ stopReason: 'end_turn' }).turns[0]!.usage).toMatchObject({ cost: null });
    agent.prompts('more', 'p2');
    agent.updates(costs(5));
    expect(agent.answers({ stopReason: 'end_turn' }).turns[0]!.usage).toMatchObject({ cost: { amount: 1 } });
  });
});
