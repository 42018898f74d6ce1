import { beforeEach, describe, expect, it } from 'vitest';
import { DialogueDriver, START, updateOf, words } from '../../../../../test/support/dialogue-driver.js';
import { INITIALIZE_MS, OPENING_MS } from './limits.js';

let agent: DialogueDriver;
beforeEach(() => {
  agent = new DialogueDriver();
});

const CAN_LOAD = { protocolVersion: 1, agentCapabilities: { loadSession: true } };
const OLD = { session_id: 's0', created_at: '2026-01-09T09:00:00.000Z' };

describe('the opening of a session', () => {
  it('offers nothing that the agent has itself, and opens a new session', () => {
    expect(agent.begins()).toMatchObject({
      frames: [
        {
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: { protocolVersion: 1, clientCapabilities: {}, clientInfo: { name: 'kandev' } },
        },
      ],
      wake_at: new Date(START.getTime() + INITIALIZE_MS).toISOString(),
      state: { phase: 'initializing' },
    });
    const info = { name: 'gemini-cli', title: 'Gemini CLI', version: '0.61.0' };
    agent.answers({ ...CAN_LOAD, agentInfo: info, authMethods: [] });
    expect(agent.frames.at(-1)).toEqual({
      ...{ jsonrpc: '2.0', id: 2, method: 'session/new' },
      params: { cwd: '/workspace', mcpServers: [] },
    });
    const modes = { currentModeId: 'default', availableModes: [{ id: 'default', name: 'Default' }, { id: 7 }] };
    expect(agent.answers({ sessionId: 's1', modes })).toMatchObject({
      session: {
        ...{ session_id: 's1', how: 'new', instead_of: null, agent: { name: 'Gemini CLI', version: '0.61.0' } },
        capabilities: { load: true, resume: false, image: false },
        modes: { current_id: 'default', available: [{ mode_id: 'default', name: 'Default' }] },
      },
      ...{ state: { phase: 'idle' }, wake_at: null },
      messages: [{ type: 'status', data: { message: 'Session opened with Gemini CLI 0.61.0.', source: 'session' } }],
    });
  });

  it('authenticates first where the agent type says how', () => {
    agent.begins({ quirks: { auth_method: 'gateway' } });
    expect(agent.answers(CAN_LOAD).frames).toMatchObject([{ method: 'authenticate', params: { methodId: 'gateway' } }]);
    expect(agent.state.phase).toBe('authenticating');
    expect(agent.answers(null).frames).toMatchObject([{ method: 'session/new' }]);
  });

  it('fails readably where the agent wants to be authenticated', () => {
    agent.begins();
    const authMethods = [{ id: 'api-key', name: 'API key', type: 'env_var', vars: [{ name: 'GEMINI_API_KEY' }] }];
    agent.answers({ ...CAN_LOAD, authMethods });
    const { ending, state, messages } = agent.fails({ code: -32000, message: 'Authentication required' });
    expect(ending).toMatchObject({ code: 'session.auth_required' });
    expect(ending!.text).toContain('Authentication required (-32000)');
    expect(ending!.text).toContain('API key (api-key; reads GEMINI_API_KEY)');
    expect(state.phase).toBe('closed');
    expect(messages).toMatchObject([{ type: 'error', level: 'error', data: { message: ending!.text } }]);
  });

  it.each([
    [{ protocolVersion: 2 }, 'session.version_unsupported'],
    [{}, 'session.protocol_violation'],
    [null, 'session.protocol_violation'],
    ['hello', 'session.protocol_violation'],
  ])('does not go on after %j', (facts, code) => {
    agent.begins();
    expect(agent.answers(facts)).toMatchObject({ ending: { code }, frames: [], wake_at: null });
  });

  it('fails where the agent can not be initialized, or opens no session', () => {
    agent.begins();
    expect(agent.fails({ code: -32603, message: 'Internal error', data: { details: 'no model' } }).ending).toEqual({
      code: 'session.initialize_failed',
      text: 'The agent could not be initialized: Internal error: no model (-32603).',
    });
    agent = new DialogueDriver();
    agent.begins();
    agent.answers(CAN_LOAD);
    expect(agent.fails({ message: 'no' }).ending).toMatchObject({ code: 'session.open_failed' });
    agent = new DialogueDriver();
    agent.begins();
    agent.answers(CAN_LOAD);
    expect(agent.answers({ sessionId: 7 }).ending).toMatchObject({ code: 'session.protocol_violation' });
  });

  it('does not wait for ever', () => {
    agent.begins();
    expect(agent.later(INITIALIZE_MS - 1).ending).toBeNull();
    expect(agent.later(1).ending).toMatchObject({ code: 'session.initialize_timeout' });
    agent = new DialogueDriver();
    agent.begins();
    agent.answers(CAN_LOAD);
    expect(agent.later(OPENING_MS).ending).toMatchObject({ code: 'session.open_timeout' });
    expect(agent.answers({ sessionId: 's1' })).toMatchObject({ session: null, messages: [{ level: 'debug' }] });
  });
});

describe('an earlier session', () => {
  it('is loaded, and its past is not told again', () => {
    agent.begins({ session: OLD, quirks: { replay_settle_ms: 500 } });
    agent.answers(CAN_LOAD);
    expect(agent.asked()).toMatchObject({
      method: 'session/load',
      params: { sessionId: 's0', cwd: '/workspace', mcpServers: [] },
    });
    const past = [
      words('Repair it', 'user_message_chunk'),
      words('Done'),
      { sessionUpdate: 'tool_call', toolCallId: 't' },
    ];
    expect(agent.updates(...past).messages).toEqual([]);
    const commands = { sessionUpdate: 'available_commands_update', availableCommands: [{ name: 'init' }] };
    expect(agent.updates(commands).messages).toMatchObject([{ data: { message: 'Commands: /init' } }]);
    expect(agent.answers(null)).toMatchObject({ session: { how: 'loaded' }, state: { phase: 'settling' } });
    agent.later(400);
    expect(agent.updates(words('Really')).wake_at).toBe(new Date(START.getTime() + 900).toISOString());
    expect(agent.later(400).state.phase).toBe('settling');
    expect(agent.later(100)).toMatchObject({ state: { phase: 'idle', replayed: 4, tool_calls: [] }, wake_at: null });
    expect(agent.texts()).toEqual(["4 updates of the session's past were not told again."]);
    expect(agent.updates(words('New')).messages).toMatchObject([{ data: { message: 'New' } }]);
  });

  it('whose past never ends is gone on with all the same', () => {
    agent.begins({ session: OLD, quirks: { replay_settle_ms: 500 } });
    agent.answers(CAN_LOAD);
    agent.answers({});
    for (let n = 0; n < 12; n++) {
      agent.updates(words('past'));
      agent.later(450);
    }
    expect(agent.state.phase).toBe('idle');
  });

  it('is resumed where the agent can, else loaded, else there is a new one', () => {
    agent.begins({ session: OLD });
    agent.answers({
      protocolVersion: 1,
      agentCapabilities: { loadSession: true, sessionCapabilities: { resume: {} } },
    });
    expect(agent.asked()).toMatchObject({ method: 'session/resume', params: { sessionId: 's0' } });
    agent.fails({ code: -32601, message: 'Method not found' });
    expect(agent.asked()).toMatchObject({ method: 'session/load' });
    agent.fails({ code: -32002, message: 'Session not found' });
    expect(agent.texts()[0]).toContain('could not be loaded: Session not found (-32002). A new one is opened');
    expect(agent.asked()).toMatchObject({ method: 'session/new' });
    // what still comes of the other one's past is no news
    expect(agent.says(updateOf(words('past'), 's0')).messages).toEqual([]);
    expect(agent.answers({ sessionId: 's1' }).session).toMatchObject({ how: 'new', instead_of: 's0' });
  });

  it('is replaced where the agent can load none', () => {
    agent.begins({ session: OLD });
    expect(agent.answers({ protocolVersion: 1 })).toMatchObject({
      frames: [{ method: 'session/new' }],
      messages: [{ level: 'warn' }],
    });
  });

  it('is not loaded before it is old enough, by whatever clock', () => {
    agent.begins({ session: { ...OLD, created_at: START.toISOString() }, quirks: { load_min_age_seconds: 60 } });
    expect(agent.answers(CAN_LOAD)).toMatchObject({ frames: [], wake_at: '2026-01-09T10:31:00.000Z' });
    expect(agent.later(59_999).frames).toEqual([]);
    expect(agent.later(1).frames).toMatchObject([{ method: 'session/load' }]);
    agent = new DialogueDriver();
    agent.begins({ session: { ...OLD, created_at: '2036-01-01T00:00:00Z' }, quirks: { load_min_age_seconds: 60 } });
    expect(agent.answers(CAN_LOAD).wake_at).toBe('2026-01-09T10:31:00.000Z');
  });
});

describe('the mode to begin in', () => {
  const modes = { currentModeId: 'default', availableModes: [{ id: 'default' }, { id: 'plan', name: 'Plan' }] };
  const opened = (result: object, mode = 'plan') => {
    agent.begins({ mode_id: mode });
    agent.answers(CAN_LOAD);
    return agent.answers({ sessionId: 's1', ...result });
  };

  it('is asked for, and waited for', () => {
    expect(opened({ modes }).frames).toMatchObject([
      { method: 'session/set_mode', params: { sessionId: 's1', modeId: 'plan' } },
    ]);
    expect(agent.state.phase).toBe('setting_mode');
    expect(agent.answers({})).toMatchObject({ state: { phase: 'idle', modes: { current_id: 'plan' } } });
    expect(agent.texts()).toEqual(['The agent works in the mode "Plan".']);
  });

  it('is an option with some agents', () => {
    const options = [{ value: 'plan', name: 'Plan' }];
    const option = { type: 'select', id: 'm', name: 'Mode', category: 'mode', currentValue: 'code', options };
    expect(opened({ configOptions: [option] }).frames).toMatchObject([
      { method: 'session/set_config_option', params: { configId: 'm', value: 'plan' } },
    ]);
  });

  it('is not asked for where the agent is in it, and is a failure where it has none or refuses', () => {
    expect(opened({ modes }, 'default')).toMatchObject({ frames: [], state: { phase: 'idle' } });
    agent = new DialogueDriver();
    expect(opened({ modes }, 'yolo').ending).toEqual({
      code: 'session.mode_unavailable',
      text: 'The agent has no mode "yolo", but default, plan.',
    });
    agent = new DialogueDriver();
    opened({ modes });
    expect(agent.fails({ message: 'not now' }).ending).toMatchObject({ code: 'session.mode_unavailable' });
  });
});
