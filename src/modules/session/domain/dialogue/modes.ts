import { fail, isReady } from './closing.js';
import type { Exchange } from './exchange.js';
import { errorText, failure } from './failures.js';
import type { Json } from './lenient.js';
import { MAX_MODE_CHANGES } from './limits.js';
import type { DialogueState, OpenRequest } from './state.js';

const CHANGEABLE = ['idle', 'prompting', 'cancelling'];

/** Why the agent can't be had in a mode; null where it can. */
export function modeProblem({ modes }: DialogueState, modeId: string): string | null {
  if (!modes || modes.available.length === 0) return `The agent has no modes, so it cannot be in "${modeId}".`;
  if (modes.available.some((mode) => mode.mode_id === modeId)) return null;
  return `The agent has no mode "${modeId}", but ${modes.available.map((mode) => mode.mode_id).join(', ')}.`;
}

/** Somebody wants another mode. */
export function setMode(x: Exchange, modeId: string): void {
  const { state } = x;
  const open = state.requests.filter((request) => request.mode_id !== null).length;
  if (!CHANGEABLE.includes(state.phase) || open >= MAX_MODE_CHANGES) {
    return x.refuse('set_mode', modeId, 'session.not_ready', 'The mode cannot be changed now.');
  }
  const problem = modeProblem(state, modeId);
  if (problem) return x.refuse('set_mode', modeId, 'session.mode_unavailable', problem);
  requestMode(x, modeId);
}

export function requestMode(x: Exchange, modeId: string): void {
  const { session_id: sessionId, modes } = x.state;
  const configId = modes!.config_id;
  if (configId === null) return x.request('session/set_mode', { sessionId, modeId }, modeId);
  x.request('session/set_config_option', { sessionId, configId, value: modeId }, modeId);
}

/** The answer to a change of mode. */
export function modeSet(x: Exchange, { mode_id }: OpenRequest, error: Json | null): void {
  const isOpening = x.state.phase === 'setting_mode';
  if (error) {
    const text = `The agent did not change to the mode "${mode_id}": ${errorText(error)}.`;
    if (isOpening) return fail(x, failure('session.mode_unavailable', text));
    return x.log('warn', text, { kind: 'mode_not_set', mode_id });
  }
  tellMode(x, mode_id!);
  if (isOpening) isReady(x);
}

/** The agent is in a mode now, whoever wanted it. An agent that says so twice is heard once. */
export function tellMode(x: Exchange, modeId: string): void {
  const { modes } = x.state;
  if (modes?.current_id === modeId) return;
  x.state.modes = { ...(modes ?? { available: [], config_id: null }), current_id: modeId };
  const name = modes?.available.find((mode) => mode.mode_id === modeId)?.name ?? modeId;
  x.status('current_mode', `The agent works in the mode "${name}".`, { mode_id: modeId });
}
