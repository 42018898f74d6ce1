import { beforeEach, describe, expect, it } from 'vitest';
import { DialogueDriver, updateOf, words } from '../../../../../test/support/dialogue-driver.js';
import { MAX_MESSAGE_TEXT, MAX_PERMISSIONS } from './limits.js';

let agent: DialogueDriver;
beforeEach(() => {
  agent = new DialogueDriver().opens().prompts();
});

const line = (text: string) => agent.hear({ type: 'line', text });

describe('a line that is no JSON-RPC', () => {
  it.each([
    'Loaded cached credentials.',
    '',
    '{"level":"info","method":"GET"}',
    '[]',
    '[1]',
    '{',
    '17',
    '{"jsonrpc":"1.0","method":"session/update"}',
  ])('%j is a log line', (text) => {
    expect(line(text)).toMatchObject({
      frames: [],
      messages: [{ type: 'log', level: 'info', data: { message: text, metadata: { source: 'stdout' } } }],
    });
  });

  it('is no message of another protocol: the result is not theirs to give', () => {
    const text = '{"type":"result","data":{"status":"completed"}}';
    expect(line(text).messages).toMatchObject([{ type: 'log', data: { message: text } }]);
  });

  it('that is long comes in pieces', () => {
    const { messages } = line('a'.repeat(2 * MAX_MESSAGE_TEXT + 5));
    expect(messages.map(({ data }) => data['metadata'])).toEqual([
      { source: 'stdout', continues: true },
      { source: 'stdout', continues: true, continued: true },
      { source: 'stdout', continued: true },
    ]);
  });

  it('that could not be taken in ends the session, if something may be missing', () => {
    const update = {
      type: 'too_long',
      bytes: 5e7,
      head: '{"jsonrpc":"2.0","method":"session/update","params":{',
    } as const;
    expect(agent.hear(update)).toMatchObject({ ending: null, messages: [{ level: 'warn' }] });
    expect(agent.hear({ type: 'too_long', bytes: 5e7, head: 'base64…' })).toMatchObject({ ending: null });
    expect(agent.hear({ type: 'too_long', bytes: 5e7 }).ending).toMatchObject({ code: 'session.frame_too_long' });
  });
});

describe('JSON-RPC', () => {
  it('may come in a batch, and without its version', () => {
    agent.says([updateOf(words('a')), { method: 'session/update', params: { sessionId: 's1', update: words('b') } }]);
    expect(agent.texts()).toEqual(['ab']);
  });

  it.each([
    [
      { jsonrpc: '2.0', id: 7, method: 'fs/read_text_file', params: {} },
      { id: 7, error: { code: -32601 } },
    ],
    [
      { jsonrpc: '2.0', id: 'x', method: 'terminal/create' },
      { id: 'x', error: { code: -32601 } },
    ],
    [
      { jsonrpc: '2.0', id: 8, method: 5 },
      { id: 8, error: { code: -32600 } },
    ],
    [
      { jsonrpc: '2.0', id: {}, method: 'fs/read_text_file' },
      { id: null, error: { code: -32600 } },
    ],
    [
      { jsonrpc: '2.0', id: 9, method: 'session/request_permission', params: {} },
      { id: 9, error: { code: -32602 } },
    ],
    [
      { jsonrpc: '2.0', id: 10, method: 'session/update', params: {} },
      { id: 10, result: {} },
    ],
  ])('%j is answered %j', (frame, answer) => {
    expect(agent.says(frame).frames).toMatchObject([{ jsonrpc: '2.0', ...answer }]);
    expect(agent.last.messages).toMatchObject([{ level: 'debug' }]);
  });

  it.each([
    { jsonrpc: '2.0' },
    { jsonrpc: '2.0', method: 'elsewhere/news', params: { a: 1 } },
    { jsonrpc: '2.0', id: null, method: 'fs/read_text_file' },
    { jsonrpc: '2.0', id: 99, result: {} },
    { jsonrpc: '2.0', id: 1, result: { protocolVersion: 1 } },
    { jsonrpc: '2.0', id: 2, error: { code: 1, message: 'late' } },
    { jsonrpc: '2.0', method: '$/cancel_request', params: { requestId: 5 } },
  ])('%j is noted and changes nothing', (frame) => {
    const before = agent.state;
    expect(agent.says(frame)).toMatchObject({ frames: [], messages: [{ level: 'debug' }] });
    expect(agent.state).toEqual({ ...before, spent: agent.state.spent });
  });

  it('of an answer whose id came back as text is understood, and once', () => {
    const id = String(agent.asked().id);
    const answer = { jsonrpc: '2.0', id, result: { stopReason: 'end_turn' } };
    expect(agent.says(answer, answer)).toMatchObject({
      turns: [{ stop_reason: 'end_turn' }],
      state: { phase: 'idle' },
    });
  });

  it('that the agent could not read is told', () => {
    agent.says({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } });
    expect(agent.last.messages).toMatchObject([{ level: 'warn', data: { metadata: { kind: 'not_understood' } } }]);
  });

  it('that can not be stored as it is becomes storable', () => {
    line(
      String.raw`{"jsonrpc":"2.0","method":"x\u0000","params":{"a":"\ud800","b":1e400,"c":${'['.repeat(1_000)}${']'.repeat(1_000)}}}`,
    );
    expect(JSON.stringify(agent.last)).not.toMatch(/\\u0000|\\ud800/);
    expect(agent.last.messages).toMatchObject([{ data: { metadata: { raw: { a: '\uFFFD', b: null } } } }]);
  });
});

describe('a permission request', () => {
  it('is held until somebody answers, and answered once', () => {
    const { opened, messages, frames } = agent.asksPermission(0);
    expect(opened).toMatchObject([
      {
        ...{ key: '1', prompt_id: 'p1' },
        tool_call: { tool_call_id: 't1', title: 'Write a.ts', kind: 'edit', status: 'pending' },
        options: [
          { option_id: 'yes', name: 'Allow', kind: 'allow_once' },
          { option_id: 'no', name: 'Reject', kind: 'reject_once' },
        ],
      },
    ]);
    expect([frames, messages]).toMatchObject([[], [{ data: { metadata: { kind: 'tool_call' } } }]]);
    const wrong = agent.hear({ type: 'answer', key: '1', option_id: 'maybe' });
    expect(wrong).toMatchObject({ frames: [], refused: [{ subject: '1', code: 'session.option_unknown' }] });
    expect(agent.hear({ type: 'answer', key: '1', option_id: 'yes' })).toMatchObject({
      frames: [{ id: 0, result: { outcome: { outcome: 'selected', optionId: 'yes' } } }],
      closed: [{ key: '1', why: 'answered', option_id: 'yes' }],
    });
    const late = agent.hear({ type: 'answer', key: '1', option_id: 'no' });
    expect(late).toMatchObject({ frames: [], closed: [], refused: [{ code: 'session.permission_closed' }] });
  });

  it('names all its paths as they came, whatever of them is kept', () => {
    const files = Array.from({ length: 60 }, (_, n) => ({ path: `/workspace/src/${n}.ts` }));
    const long = `/workspace/${'d/'.repeat(1_000)}b`;
    const diff = (path: string) => ({ type: 'diff', path, newText: 'x'.repeat(9_000) });
    const locations = [...files, { path: '/workspace/.git/config' }, ...files];
    const content = [...Array.from({ length: 70 }, () => diff(long)), diff('.env')];
    const { opened } = agent.asksPermission(1, { toolCallId: 't', kind: 'edit', locations, content });
    const paths = [...files.map(({ path }) => path), '/workspace/.git/config', long, '.env'];
    expect(opened).toMatchObject([{ paths, paths_cut: false, tool_call: { locations: [] } }]);
    // Asked again without them: what is kept has not all of them.
    expect(agent.asksPermission(2, { toolCallId: 't' }).opened).toMatchObject([{ paths_cut: true }]);
    expect(agent.asksPermission(3, { toolCallId: 't', locations: [{ path: 'a' }], content: [] }).opened).toMatchObject([
      { paths: ['a'], paths_cut: false },
    ]);
    expect(agent.asksPermission(4, { toolCallId: 't' }).opened).toMatchObject([{ paths: ['a'], paths_cut: false }]);
  });

  it.each([
    ['too many paths', Array.from({ length: 501 }, (_, n) => ({ path: `${n}` })), 500],
    ['a path that is too long for one', [{ path: 'a' }, { path: 'b'.repeat(4_097) }], 1],
    ['too much of them', Array.from({ length: 50 }, (_, n) => ({ path: String(n).padStart(4_096, '/') })), 32],
    ['something that is no path', [{ path: 'a' }, { path: 5 }, null], 1],
  ])('with %s says that there are more', (_, locations, count) => {
    const { opened } = agent.asksPermission(1, { toolCallId: 't', locations });
    expect(opened).toMatchObject([{ paths: { length: count }, paths_cut: true }]);
  });

  it('with an id that waits already is the same one; later it is another', () => {
    agent.asksPermission('a');
    expect(agent.asksPermission('a')).toMatchObject({ opened: [], frames: [] });
    expect(agent.says({ jsonrpc: '2.0', id: 'a', method: 'fs/read_text_file' }).frames).toEqual([]);
    agent.hear({ type: 'answer', key: '1', option_id: null });
    expect(agent.frames.at(-1)).toMatchObject({ id: 'a', result: { outcome: { outcome: 'cancelled' } } });
    expect(agent.asksPermission('a').opened).toMatchObject([{ key: '2' }]);
    expect(agent.asksPermission(String.raw`"`).opened).toMatchObject([{ key: '3' }]);
  });

  it('that the agent takes back, or whose turn ends, is closed', () => {
    agent.asksPermission(5);
    agent.asksPermission('5');
    const taken = agent.says({ jsonrpc: '2.0', method: '$/cancel_request', params: { requestId: 5 } });
    expect(taken).toMatchObject({ closed: [{ key: '1', why: 'withdrawn' }], frames: [{ id: 5 }] });
    const ended = agent.says({ jsonrpc: '2.0', id: agent.asked().id, result: { stopReason: 'end_turn' } });
    expect(ended).toMatchObject({ closed: [{ key: '2', why: 'turn_ended' }], frames: [{ id: '5' }] });
  });

  it('of another session, or of too many, nobody is asked', () => {
    const params = { sessionId: 'other', toolCall: {}, options: [{ optionId: 'a', name: 'A', kind: 'allow_once' }] };
    const asked = agent.says({ jsonrpc: '2.0', id: 1, method: 'session/request_permission', params });
    expect(asked).toMatchObject({ opened: [], frames: [{ id: 1, error: { code: -32602 } }] });
    for (let n = 0; n < MAX_PERMISSIONS; n++) expect(agent.asksPermission(n, {}).opened).toHaveLength(1);
    expect(agent.asksPermission(99)).toMatchObject({ opened: [], frames: [{ id: 99, result: {} }] });
  });
});

describe('a change of mode', () => {
  it('may come at any time of an open session', () => {
    agent = new DialogueDriver();
    agent.begins();
    agent.answers({ protocolVersion: 1 });
    const availableModes = [
      { id: 'a', name: 'A' },
      { id: 'b', name: 'B' },
    ];
    agent.answers({ sessionId: 's1', modes: { currentModeId: 'a', availableModes } });
    agent.prompts();
    expect(agent.hear({ type: 'set_mode', mode_id: 'c' }).refused).toMatchObject([
      { code: 'session.mode_unavailable' },
    ]);
    expect(agent.hear({ type: 'set_mode', mode_id: 'b' }).frames).toMatchObject([{ method: 'session/set_mode' }]);
    agent.updates({ sessionUpdate: 'current_mode_update', currentModeId: 'b' });
    expect(agent.texts()).toEqual(['The agent works in the mode "B".']);
    expect(agent.answers({})).toMatchObject({
      messages: [],
      state: { phase: 'prompting', modes: { current_id: 'b' } },
    });
    agent.hear({ type: 'set_mode', mode_id: 'a' });
    expect(agent.fails({ message: 'no' })).toMatchObject({ ending: null, messages: [{ level: 'warn' }] });
  });
});
