import { beforeEach, describe, expect, it } from 'vitest';
import { DialogueDriver, updateOf, words } from '../../../../../test/support/dialogue-driver.js';
import { MAX_ASKED, MAX_BATCH, MAX_REPLIES, MAX_STEP_BYTES, MAX_TOLD_BYTES } from './limits.js';

const TIMEOUT = 30_000; // a second each; ten times that on a busy machine
const VIOLATION = { code: 'session.protocol_violation' };

let agent: DialogueDriver;
beforeEach(() => {
  agent = new DialogueDriver().opens().prompts();
});

const content = [16_000, 16_000, 14_000].map((length) => ({
  ...{ type: 'content', content: { type: 'text', text: 'x'.repeat(length) } },
}));
const big = (toolCallId: string, more = {}) => ({ sessionUpdate: 'tool_call', toolCallId, content, ...more });
const news = (toolCallId: string, more = {}) => ({ sessionUpdate: 'tool_call_update', toolCallId, ...more });
const sizeOf = (value: unknown) => JSON.stringify(value).length;

describe('what an agent may make of us', () => {
  it('is so many frames a line: the protocol has no batches', () => {
    const batch = (length: number) => Array.from({ length }, (_, id) => ({ jsonrpc: '2.0', id, method: 'x' }));
    expect(agent.says(batch(MAX_BATCH))).toMatchObject({ ending: null, frames: { length: MAX_BATCH } });
    const { ending, frames } = agent.says(batch(MAX_BATCH + 1));
    expect(ending).toMatchObject(VIOLATION);
    expect(ending!.text).toMatch(/wrote 101 JSON-RPC messages in one line of 3\.\d KB/);
    expect(frames).toHaveLength(MAX_BATCH);
    const late = agent.says(batch(MAX_BATCH + 1));
    expect(late.messages.at(-1)).toMatchObject({ level: 'warn', data: { metadata: { kind: 'too_long', count: 101 } } });
  });

  it('is little of tool calls whose news say little', () => {
    agent.updates(big('a'), big('b'));
    const updates = Array.from({ length: 3_000 }, (_, n) => updateOf(news(n % 2 ? 'a' : 'b')));
    const { messages, ending } = agent.says(...updates);
    expect(messages).toHaveLength(3_000);
    expect(sizeOf(messages)).toBeLessThan(8 * sizeOf(updates));
    expect(ending).toBeNull();
  });

  it(
    'is so much in all, and in one call',
    () => {
      agent.updates(big('a'));
      const turns = ['completed', 'in_progress'].map((status) => news('a', { status }));
      const flips = Array.from({ length: 400 }, (_, n) => [words(`${n},`), ...turns]).flat();
      const { messages, ending, state } = agent.updates(...flips);
      expect(ending).toBeNull();
      expect(sizeOf(messages)).toBeGreaterThan(MAX_STEP_BYTES);
      expect(sizeOf(messages)).toBeLessThan(1.2 * MAX_STEP_BYTES);
      const said = messages.filter(({ data }) => (data['metadata'] as { kind: string }).kind === 'agent_message');
      expect(said).toHaveLength(400); // no word is left out
      expect(messages.at(-2)).toMatchObject({
        data: { metadata: { tool_call: { content: [], status: 'completed', partial: true, cut: true } } },
      });
      let last = agent.last;
      for (let n = 0; n < 9 && last.ending === null; n++) last = agent.updates(...flips);
      expect(last).toMatchObject({ ending: VIOLATION, state: { phase: 'closed' } });
      expect(last.state.spent.told).toBeGreaterThan(MAX_TOLD_BYTES);
      expect(JSON.parse(JSON.stringify(last.state))).toStrictEqual(last.state);
      expect(agent.updates(words('more'))).toMatchObject({ messages: [], state: { spent: last.state.spent } });
      expect(state.phase).toBe('prompting');
    },
    TIMEOUT,
  );

  it('is so many permission requests', () => {
    const withdrawn = (requestId: number) => ({ jsonrpc: '2.0', method: '$/cancel_request', params: { requestId } });
    for (let n = 0; n < MAX_ASKED; n++) {
      agent.asksPermission(n);
      agent.says(withdrawn(n));
    }
    expect(agent.state.phase).toBe('prompting');
    const { opened, closed, ending } = agent.asksPermission(MAX_ASKED);
    expect([opened, closed]).toMatchObject([[{ key: '2001' }], [{ key: '2001', why: 'session_closed' }]]);
    expect(ending).toMatchObject(VIOLATION);
  });

  it('is so many answers to requests that it has no use for, not those that an update came', () => {
    const ask = (method: string, params: object) =>
      Array.from({ length: MAX_BATCH }, (_, id) => ({ jsonrpc: '2.0', id, method, params }));
    const updates = ask('session/update', { sessionId: 's1', update: words('a') });
    for (let n = 0; n <= MAX_REPLIES / MAX_BATCH; n++) agent.says(updates);
    expect(agent.state.phase).toBe('prompting');
    const reads = ask('fs/read_text_file', {});
    for (let n = 0; n < MAX_REPLIES / MAX_BATCH; n++) agent.says(reads);
    expect(agent.state.phase).toBe('prompting');
    expect(agent.says(reads).ending).toMatchObject(VIOLATION);
  });

  it('is not touched by a program that prints empty lines', () => {
    const empty = Array.from({ length: 1_000 }, () => ({ type: 'line' as const, text: '' }));
    const { told, heard } = agent.hear(...empty).state.spent;
    expect(told).toBeLessThan(8 * heard);
  });
});
