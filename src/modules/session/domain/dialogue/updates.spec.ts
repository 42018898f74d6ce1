import { beforeEach, describe, expect, it } from 'vitest';
import { DialogueDriver, updateOf, words } from '../../../../../test/support/dialogue-driver.js';
import { jsonBytes } from './lenient.js';
import { MAX_STATE_BYTES, MAX_TOOL_CALL_BYTES } from './limits.js';

let agent: DialogueDriver;
beforeEach(() => {
  agent = new DialogueDriver().opens().prompts();
});

const metadata = () => agent.last.messages.map(({ data }) => data['metadata']);

describe('pieces of messages', () => {
  it('that come together are one message each kind', () => {
    const thought = (text: string) => words(text, 'agent_thought_chunk');
    const updates = [thought('Hm'), thought('m.'), words('I '), words('see.'), words(''), thought('But')];
    expect(agent.updates(...updates).messages).toMatchObject([
      { type: 'log', level: 'debug', data: { message: 'Hmm.', metadata: { kind: 'agent_thought', turn: 1, part: 1 } } },
      {
        ...{ type: 'log', level: 'info' },
        data: { message: 'I see.', metadata: { source: 'session', kind: 'agent_message', turn: 1, part: 2 } },
      },
      { level: 'debug', data: { message: 'But', metadata: { part: 3 } } },
    ]);
    agent.updates(thought(' still'));
    expect(metadata()).toMatchObject([{ part: 3 }]); // goes on where the last one stopped
    agent.updates(words('a'), { sessionUpdate: 'tool_call', toolCallId: 't', title: 'Read' }, words('b'));
    expect(metadata()).toMatchObject([{ part: 4 }, { kind: 'tool_call' }, { part: 5 }]);
    expect(agent.state.words).toBe('b');
  });

  it('of two messages are two', () => {
    agent.updates({ ...words('a'), messageId: '1' }, { ...words('b'), messageId: '2' });
    expect(agent.texts()).toEqual(['a', 'b']);
  });

  it('that are no text are told by what they are, with their bytes where they are few', () => {
    const chunk = (content: object) => ({ sessionUpdate: 'agent_message_chunk', content });
    agent.updates(
      chunk({ type: 'image', mimeType: 'image/png', data: 'AAAA' }),
      chunk({ type: 'audio', mimeType: 'audio/wav', data: 'A'.repeat(40_000) }),
      chunk({ type: 'resource_link', uri: 'file:///a', name: 'a', size: 5 }),
      chunk({ type: 'resource', resource: { uri: 'file:///b', text: 'hello' } }),
      chunk({ type: 'hologram' }),
    );
    expect(agent.texts()).toEqual([
      '[Image image/png, 3 bytes]',
      '[Audio audio/wav, 30.0 KB]',
      '[Link a file:///a, 5 bytes]',
      '[File file:///b, 5 bytes]',
      '[Content of an unknown kind hologram, 19 bytes]',
    ]);
    const data = metadata().map((about) => (about as { content: { data: unknown } }).content.data);
    expect(data).toEqual(['AAAA', null, null, 'hello', '{"type":"hologram"}']);
  });
});

describe('a tool call', () => {
  const call = { sessionUpdate: 'tool_call', toolCallId: 't1', title: 'Write a.ts', kind: 'edit', status: 'pending' };

  it('is told as a whole when it begins and when it ends', () => {
    agent.updates({ ...call, rawInput: { path: 'a.ts' }, locations: [{ path: '/workspace/a.ts', line: 3 }, 5] });
    expect(agent.last.messages).toMatchObject([{ type: 'log', level: 'info', data: { message: 'Write a.ts: waits' } }]);
    const diff = { type: 'diff', path: '/workspace/a.ts', oldText: null, newText: 'x' };
    const content = [
      diff,
      { type: 'terminal', terminalId: 'T' },
      { type: 'content', content: { type: 'text', text: 'ok' } },
    ];
    const update = { sessionUpdate: 'tool_call_update', toolCallId: 't1', title: null, status: 'completed', content };
    agent.updates(update);
    expect(agent.texts()).toEqual(['Write a.ts (/workspace/a.ts): done']);
    expect(metadata()).toEqual([
      {
        ...{ source: 'session', kind: 'tool_call', turn: 1 },
        tool_call: {
          ...{ tool_call_id: 't1', turn: 1, title: 'Write a.ts', name: null, kind: 'edit', status: 'completed' },
          locations: [{ path: '/workspace/a.ts', line: 3 }],
          content: [
            { type: 'diff', path: '/workspace/a.ts', old_text: null, new_text: 'x', cut: false },
            { type: 'terminal', terminal_id: 'T' },
            { type: 'text', text: 'ok', cut: false },
          ],
          ...{ content_left_out: 0, raw_input: { path: 'a.ts' }, raw_input_cut: false },
          ...{ raw_output: null, raw_output_cut: false, partial: false },
        },
      },
    ]);
  });

  it('has no number that would come back as another one from where it is stored', () => {
    const [line, raw] = ['"locations":[{"path":"a","line":-0}]', '"rawInput":{"n":-0}'];
    const update = `{"sessionUpdate":"tool_call","toolCallId":"t",${line},${raw}}`;
    const params = `{"sessionId":"s1","update":${update}}`;
    agent.hear({ type: 'line', text: `{"jsonrpc":"2.0","method":"session/update","params":${params}}` });
    expect(JSON.parse(JSON.stringify(agent.state))).toStrictEqual(agent.state);
  });

  it('is told by what changes in between', () => {
    const text = (said: string) => [{ type: 'content', content: { type: 'text', text: said } }];
    const update = { sessionUpdate: 'tool_call_update', toolCallId: 't1' };
    agent.updates({ ...call, content: text('long'), rawInput: { a: 1 }, locations: [{ path: 'a.ts' }] });
    const nothing = { content: [], content_left_out: 0, raw_input: null, raw_output: null, locations: [] };
    agent.updates({ ...update, status: 'in_progress' });
    expect(metadata()).toMatchObject([{ tool_call: { ...nothing, title: 'Write a.ts', partial: true } }]);
    agent.updates({ ...update, rawOutput: 'ok' });
    expect(metadata()).toMatchObject([{ tool_call: { ...nothing, raw_output: 'ok', partial: true } }]);
    const whole = { content: [{ text: 'long' }], raw_input: { a: 1 }, raw_output: 'ok', partial: false };
    agent.updates({ ...update, locations: [] }); // "nothing" would mean that nothing has changed
    expect(metadata()).toMatchObject([{ tool_call: { ...whole, locations: [] } }]);
    agent.updates({ ...update, content: text('longer') }, { ...update, rawInput: 'b' });
    expect(metadata()).toMatchObject([{ tool_call: { content: [{ text: 'longer' }], raw_input: 'b', partial: true } }]);
    agent.updates({ ...update, status: 'completed' });
    expect(metadata()).toMatchObject([{ tool_call: { ...whole, content: [{ text: 'longer' }], raw_input: 'b' } }]);
    agent.updates({ ...update, status: 'completed' });
    expect(metadata()).toMatchObject([{ tool_call: { ...nothing, partial: true } }]);
  });

  it('does not stay open when its turn is over, whatever ended the turn', () => {
    const left = { tool_call: { status: 'failed', left_open: true, title: 'Write a.ts', turn: 1, partial: false } };
    agent.updates(call, { ...call, toolCallId: 't2', status: 'completed' });
    agent.answers({ stopReason: 'end_turn' });
    expect(metadata()).toMatchObject([{ ...left, turn: 1 }, { kind: 'turn_ended' }]);
    expect(agent.last.messages).toMatchObject([{ level: 'info', data: { message: 'Write a.ts: left open' } }, {}]);
    agent.updates({ sessionUpdate: 'tool_call_update', toolCallId: 't1', title: 'Write b.ts' });
    expect(metadata()).toMatchObject([{ tool_call: { left_open: true, title: 'Write b.ts' } }]);
    agent.updates({ sessionUpdate: 'tool_call_update', toolCallId: 't1', status: 'completed' });
    expect(metadata()).toMatchObject([{ tool_call: { status: 'completed', title: 'Write b.ts' } }]);
    expect(metadata()).not.toMatchObject([{ tool_call: { left_open: true } }]);
    agent.prompts();
    agent.updates({ ...call, toolCallId: 't3' });
    agent.hear({ type: 'gone' });
    expect(metadata()).toMatchObject([{ tool_call: { tool_call_id: 't3', left_open: true, turn: 2 } }]);
  });

  it('does not stay open either where it is told of when the last turn is over', () => {
    agent.answers({ stopReason: 'end_turn' });
    agent.updates(call);
    agent.hear({ type: 'finish' });
    expect(agent.last.messages).toMatchObject([
      { data: { metadata: { tool_call: { status: 'failed', left_open: true } } } },
      { type: 'result' },
    ]);
  });

  it('may be heard of first by its news, and says so', () => {
    agent.updates({ sessionUpdate: 'tool_call_update', toolCallId: 'x', status: 'failed', kind: 'dance', content: [] });
    expect(agent.last.messages).toMatchObject([{ level: 'warn', data: { message: 'Tool call (other): failed' } }]);
    expect(metadata()).toMatchObject([{ tool_call: { partial: true, status: 'failed' } }]);
  });

  it('is told once for news that come together and change no status', () => {
    const news = (text: string, status?: string) => ({
      ...{ sessionUpdate: 'tool_call_update', toolCallId: 't1', ...(status && { status }) },
      content: [{ type: 'content', content: { type: 'text', text } }],
    });
    agent.updates(call, news('1', 'in_progress'), news('12'), news('123'), news('1234', 'failed'));
    expect(agent.texts()).toEqual(['Write a.ts: waits', 'Write a.ts: works', 'Write a.ts: failed: 1234']);
    expect(metadata()[1]).toMatchObject({ tool_call: { content: [{ text: '123' }] } });
  });

  it('is cut where it is large, and says where', () => {
    const big = 'é'.repeat(20_000);
    const content = Array.from({ length: 100 }, () => ({ type: 'diff', path: 'a', oldText: big, newText: big }));
    agent.updates({ ...call, content, rawInput: { big }, rawOutput: [big] });
    const { tool_call } = metadata()[0] as { tool_call: Record<string, unknown> };
    expect(jsonBytes(tool_call)).toBeLessThan(MAX_TOOL_CALL_BYTES);
    expect(tool_call).toMatchObject({ content_left_out: 100, raw_input_cut: true, raw_output_cut: true });
    agent.updates({ ...call, content: content.slice(0, 1), rawInput: { a: 1 } });
    expect(metadata()[0]).toMatchObject({
      tool_call: { content: [{ cut: true }], raw_input: { a: 1 }, raw_input_cut: false },
    });
  });

  it('is forgotten when there are many: first the oldest that have ended', () => {
    const text = 'x'.repeat(10_000);
    const content = [{ type: 'content', content: { type: 'text', text } }];
    agent.updates({ ...call, toolCallId: 'open', content });
    for (let n = 0; n < 40; n++) agent.updates({ ...call, toolCallId: `t${n}`, status: 'completed', content });
    expect(jsonBytes(agent.state)).toBeLessThan(MAX_STATE_BYTES);
    const known = agent.state.tool_calls.map(({ view }) => view.tool_call_id);
    expect(known).toContain('open');
    expect(known).toContain('t39');
    expect(known).not.toContain('t0');
    agent.updates({ sessionUpdate: 'tool_call_update', toolCallId: 't0', status: 'completed' });
    expect(metadata()).toMatchObject([{ tool_call: { partial: true } }]);
  });
});

describe('what else an agent tells', () => {
  it('of its plan is progress', () => {
    const entry = (content: string, status: string) => ({ content, status, priority: 'high' });
    const entries = [entry('Look', 'completed'), entry('Repair', 'in_progress'), entry('Test', 'pending')];
    expect(agent.updates({ sessionUpdate: 'plan', entries }).messages).toMatchObject([
      { type: 'progress', data: { progress: 33, message: 'Plan: 1 of 3 done. Now: Repair', metadata: { entries } } },
    ]);
  });

  it.each([
    [{ sessionUpdate: 'current_mode_update', currentModeId: 'plan' }, 'status', 'The agent works in the mode "plan".'],
    [{ sessionUpdate: 'session_info_update', title: 'Repair' }, 'status', 'The session is called "Repair".'],
    [{ sessionUpdate: 'available_commands_update', availableCommands: [] }, 'status', 'The agent has no commands.'],
    [
      { sessionUpdate: 'config_option_update', configOptions: [{ id: 'm', name: 'Model', currentValue: 'x' }] },
      'status',
      'Options: Model: x',
    ],
    [{ sessionUpdate: 'usage_update', used: 10, size: 100 }, 'status', 'Context: 10 of 100 tokens.'],
    [{ sessionUpdate: 'notice', severity: 'constructor', title: 'Hello', description: 'you' }, 'log', 'Hello: you'],
    [
      { sessionUpdate: 'dream', of: 'sheep' },
      'log',
      'The agent sent an update of a kind that is not known here: dream.',
    ],
    [
      { sessionUpdate: 'constructor' },
      'log',
      'The agent sent an update of a kind that is not known here: constructor.',
    ],
    [{ sessionUpdate: 'agent_message_chunk' }, 'log', 'The agent sent a piece of a message without content.'],
    [{ sessionUpdate: 'tool_call' }, 'log', 'The agent told of a tool call without a usable id.'],
    [{}, 'log', 'The agent sent a session update that says nothing.'],
  ])('as %j is readable', (update, type, message) => {
    expect(agent.updates(update).messages).toMatchObject([{ type, data: { message } }]);
  });

  it('keeps what is not known as it came', () => {
    agent.updates({ sessionUpdate: 'dream', of: 'sheep' });
    expect(metadata()).toMatchObject([{ kind: 'note', raw: { of: 'sheep' } }]);
  });

  it('of another session is for those who look', () => {
    agent.says(updateOf(words('hi'), 'other'));
    expect(agent.last.messages).toMatchObject([{ level: 'debug' }]);
  });

  it('before the session is open is told as it comes', () => {
    agent = new DialogueDriver();
    agent.begins();
    agent.says(updateOf(words('Welcome')));
    expect(agent.texts()).toEqual(['Welcome']);
  });
});
