// What the agent answers to each request.
import { methods, PROTOCOL_VERSION, RequestError } from '@agentclientprotocol/sdk';
import { scriptOf } from './script.mjs';
import { Session } from './sessions.mjs';
import { play } from './steps.mjs';

const MODES = [
  { id: 'default', name: 'Ask', description: 'Asks before it changes anything' },
  { id: 'auto', name: 'Automatic', description: 'Asks nobody' },
];
const AUTH_METHODS = [{ id: 'key', name: 'Key', description: 'TEST_AGENT_KEY, or _meta["api-key"]' }];

export class Desk {
  /** @type {Map<string, Session>} */
  sessions = new Map();
  isKnown = process.env.TEST_AGENT_KEY !== undefined;

  /** @param {import('./quirks.mjs').Quirks} quirks @param {import('./wire.mjs').Wire} wire */
  constructor(quirks, wire) {
    this.quirks = quirks;
    this.wire = wire;
  }

  initialize() {
    const promptCapabilities = { image: true, audio: false, embeddedContext: true };
    return {
      protocolVersion: PROTOCOL_VERSION,
      agentInfo: { name: 'test-agent', title: 'Test agent', version: '1.0.0' },
      agentCapabilities: {
        loadSession: !this.quirks.no_load,
        promptCapabilities,
        sessionCapabilities: { list: {} },
      },
      authMethods: this.quirks.auth_required ? AUTH_METHODS : [],
    };
  }

  /** @param {import('@agentclientprotocol/sdk').AuthenticateRequest} params */
  authenticate({ methodId, _meta: meta }) {
    if (methodId !== 'key') throw RequestError.invalidParams({ methodId }, 'there is only "key"');
    this.isKnown ||= typeof meta?.['api-key'] === 'string';
    if (!this.isKnown) throw RequestError.authRequired(undefined, 'there is no key');
    return {};
  }

  /** @param {import('@agentclientprotocol/sdk').NewSessionRequest} params */
  open({ cwd }) {
    this.refuseStrangers();
    const session = Session.create(cwd);
    this.sessions.set(session.id, session);
    return { sessionId: session.id, modes: { currentModeId: session.mode, availableModes: MODES } };
  }

  /**
   * @param {import('@agentclientprotocol/sdk').LoadSessionRequest} params
   * @param {import('@agentclientprotocol/sdk').AgentContext} client
   */
  async load({ sessionId, cwd }, client) {
    if (this.quirks.no_load) throw RequestError.methodNotFound(methods.agent.session.load);
    this.refuseStrangers();
    const loaded = Session.load(sessionId, cwd);
    if (!loaded) throw RequestError.sessionNotFound(sessionId);
    this.sessions.set(sessionId, loaded.session);
    const { load_as: name = sessionId, late_replay: late = 0 } = this.quirks;
    const replay = async (/** @type {object[]} */ updates) => {
      for (const update of updates) await client.notify('session/update', { sessionId: name, update });
    };
    const inTime = Math.max(0, loaded.updates.length - late);
    await replay(loaded.updates.slice(0, inTime));
    if (late > 0) setTimeout(() => void replay(loaded.updates.slice(inTime)), 20); // the answer goes first
    return { modes: { currentModeId: loaded.session.mode, availableModes: MODES } };
  }

  list() {
    return { sessions: Session.list() };
  }

  /**
   * @param {import('@agentclientprotocol/sdk').SetSessionModeRequest} params
   * @param {import('@agentclientprotocol/sdk').AgentContext} client
   */
  async setMode({ sessionId, modeId }, client) {
    const session = this.session(sessionId);
    if (!MODES.some(({ id }) => id === modeId)) throw RequestError.invalidParams({ modeId }, 'there is no such mode');
    session.mode = modeId;
    const update = { sessionUpdate: 'current_mode_update', currentModeId: modeId };
    await client.notify('session/update', { sessionId, update });
    return {};
  }

  /**
   * @param {import('@agentclientprotocol/sdk').PromptRequest} params
   * @param {import('@agentclientprotocol/sdk').AgentContext} client
   */
  async prompt({ sessionId, prompt }, client) {
    const session = this.session(sessionId);
    if (session.turn && this.quirks.second_prompt === 'refused')
      throw RequestError.invalidRequest(undefined, 'a turn is running');
    while (session.turn && this.quirks.second_prompt === 'queues') await session.over;
    session.turn?.abort();
    const turn = (session.turn = new AbortController());
    session.prompts++;
    for (const content of prompt) session.keep({ sessionUpdate: 'user_message_chunk', content });
    const playing = play(scriptOf(prompt, session.prompts), { session, client, wire: this.wire, signal: turn.signal });
    session.over = playing.then(
      () => {},
      () => {},
    );
    try {
      return await playing;
    } finally {
      if (session.turn === turn) session.turn = undefined;
    }
  }

  /** @param {import('@agentclientprotocol/sdk').CancelNotification} params */
  cancel({ sessionId }) {
    if (!this.quirks.ignore_cancel) this.sessions.get(sessionId)?.turn?.abort();
  }

  /** @param {string} id */
  session(id) {
    const session = this.sessions.get(id);
    if (!session) throw RequestError.sessionNotFound(id);
    return session;
  }

  refuseStrangers() {
    if (this.quirks.auth_required && !this.isKnown) throw RequestError.authRequired();
  }
}
