import type { DialogueOpening, OpenedSession } from '../../contracts/dialogue.types.js';
import { agentOf, authMethodsOf, capabilitiesOf, modesOf } from './agent-facts.js';
import { fail, isReady } from './closing.js';
import type { Exchange } from './exchange.js';
import { authRequired, errorText, failure, failureByError, isAuthRequired } from './failures.js';
import { count, identifier, record, type Json } from './lenient.js';
import { INITIALIZE_MS, MAX_ID_BYTES, MODE_MS, OPENING_MS, SETTLE_TIMES } from './limits.js';
import { modeProblem, requestMode } from './modes.js';

const PROTOCOL_VERSION = 1;
/** No MCP servers: they would be programs beside the agent, with what it may do. */
const NO_SERVERS: readonly never[] = [];

/** The agent's command runs. */
export function begin(x: Exchange, opening: DialogueOpening): void {
  if (x.state.phase !== 'starting') return x.note('The dialogue has begun already.');
  x.state.opening = opening;
  x.state.phase = 'initializing';
  // No file system and no terminal of ours: the agent has its own, in its container.
  x.request('initialize', {
    protocolVersion: PROTOCOL_VERSION,
    clientCapabilities: {},
    clientInfo: opening.client,
  });
  x.wakeIn(INITIALIZE_MS);
}

export function initialized(x: Exchange, result: unknown, error: Json | null): void {
  if (error) {
    if (isAuthRequired(error)) return fail(x, authRequired(errorText(error), x.state.auth_methods));
    return fail(x, failure('session.initialize_failed', `The agent could not be initialized: ${errorText(error)}.`));
  }
  const facts = record(result);
  const version = count(facts?.['protocolVersion']);
  if (!facts || version === null) {
    const text = 'The agent answered initialize without a protocol version: it does not speak the protocol.';
    return fail(x, failure('session.protocol_violation', text));
  }
  if (version !== PROTOCOL_VERSION) {
    const text = `The agent speaks version ${version} of the protocol, not ${PROTOCOL_VERSION}. Use another version of the agent.`;
    return fail(x, failure('session.version_unsupported', text));
  }
  x.state.agent = agentOf(facts);
  x.state.capabilities = capabilitiesOf(facts);
  x.state.auth_methods = authMethodsOf(facts);
  const methodId = x.state.opening!.quirks.auth_method ?? null;
  if (methodId === null) return open(x);
  x.state.phase = 'authenticating';
  x.request('authenticate', { methodId });
  x.wakeIn(OPENING_MS);
}

export function authenticated(x: Exchange, error: Json | null): void {
  if (error) return fail(x, authRequired(errorText(error), x.state.auth_methods));
  open(x);
}

/** Loads the session that is asked for as soon as it is old enough, else opens a new one. */
export function open(x: Exchange): void {
  const { session, quirks } = x.state.opening!;
  x.state.phase = 'opening';
  if (!session) return openNew(x);
  const { load, resume } = x.state.capabilities;
  if (!load && !resume) return openAnother(x, 'the agent cannot load sessions');
  const minAge = (quirks.load_min_age_seconds ?? 0) * 1_000;
  const oldEnough = Date.parse(session.created_at) + minAge;
  const now = x.now.getTime();
  // No longer than its whole minimum age, wherever its creation may lie by somebody's clock.
  const at = Math.min(oldEnough, now + minAge);
  if (!(at > now)) return openAgain(x);
  const text = `The session is loaded in ${Math.ceil((at - now) / 1_000)} s: the agent would spoil a younger one.`;
  x.log('info', text, { kind: 'session_too_young' });
  x.wakeAt(at);
}

/** The session is old enough now. */
export function openAgain(x: Exchange): void {
  const { cwd, session } = x.state.opening!;
  x.state.session_id = session!.session_id;
  // To resume is better where the agent can: it repeats nothing.
  const method = x.state.capabilities.resume ? 'session/resume' : 'session/load';
  x.request(method, { sessionId: session!.session_id, cwd, mcpServers: NO_SERVERS });
  x.wakeIn(OPENING_MS);
}

function openAnother(x: Exchange, why: string): void {
  const { session } = x.state.opening!;
  const text = `The session could not be loaded: ${why}. A new one is opened; the agent does not remember what was said.`;
  x.log('warn', text, { kind: 'session_not_loaded', session_id: session!.session_id });
  openNew(x);
}

function openNew(x: Exchange): void {
  x.state.session_id = null;
  x.state.cost_before = 0;
  x.request('session/new', { cwd: x.state.opening!.cwd, mcpServers: NO_SERVERS });
  x.wakeIn(OPENING_MS);
}

/** The answer to `session/new`, `session/load` or `session/resume`. */
export function opened(x: Exchange, method: string, result: unknown, error: Json | null): void {
  if (error && isAuthRequired(error)) return fail(x, authRequired(errorText(error), x.state.auth_methods));
  if (method !== 'session/new') {
    if (error && method === 'session/resume' && x.state.capabilities.load) {
      x.note(`The session could not be resumed: ${errorText(error)}. It is loaded.`);
      x.state.capabilities.resume = false;
      return openAgain(x);
    }
    return error ? openAnother(x, errorText(error)) : isOpen(x, record(result) ?? {}, method);
  }
  if (error) return fail(x, failureByError('session.open_failed', 'The agent opened no session', error));
  const sessionId = identifier(record(result)?.['sessionId'], MAX_ID_BYTES);
  if (sessionId === null) {
    const text = 'The agent answered session/new without a usable session id: it does not keep to the protocol.';
    return fail(x, failure('session.protocol_violation', text));
  }
  isOpen(x, record(result)!, method);
}

const HOW: Readonly<Record<string, OpenedSession['how']>> = { 'session/load': 'loaded', 'session/resume': 'resumed' };

function isOpen(x: Exchange, result: Json, method: string): void {
  const { state } = x;
  // Some agents give a loaded session another name.
  state.session_id = identifier(result['sessionId'], MAX_ID_BYTES) ?? state.session_id;
  const how: OpenedSession['how'] = HOW[method] ?? 'new';
  state.modes = modesOf(result) ?? state.modes; // an update may have told them before
  const session: OpenedSession = {
    session_id: state.session_id!,
    how,
    instead_of: how === 'new' ? (state.opening!.session?.session_id ?? null) : null,
    agent: state.agent,
    capabilities: state.capabilities,
    modes: state.modes,
  };
  x.outcome.session = structuredClone(session);
  const name = state.agent ? [state.agent.name, state.agent.version].filter(Boolean).join(' ') : 'the agent';
  x.status('session_opened', `Session ${how === 'new' ? 'opened' : how} with ${name}.`, structuredClone(session));
  const silence = how === 'loaded' ? (state.opening!.quirks.replay_settle_ms ?? 0) : 0;
  if (silence <= 0) return settled(x);
  state.phase = 'settling';
  state.settle_until = new Date(x.now.getTime() + silence * SETTLE_TIMES).toISOString();
  x.wakeIn(silence);
}

/** Nothing more of the loaded session's past is expected. */
export function settled(x: Exchange): void {
  const { state } = x;
  state.settle_until = null;
  state.deadline = null;
  if (state.replayed > 0) x.note(`${state.replayed} updates of the session's past were not told again.`);
  const wanted = state.opening!.mode_id;
  if (wanted === null || wanted === state.modes?.current_id) return isReady(x);
  const problem = modeProblem(state, wanted);
  if (problem) return fail(x, failure('session.mode_unavailable', problem));
  state.phase = 'setting_mode';
  requestMode(x, wanted);
  x.wakeIn(MODE_MS);
}
