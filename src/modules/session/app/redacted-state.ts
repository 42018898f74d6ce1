import type { DialogueState } from '../domain/dialogue/state.js';

/**
 * A dialogue's state as it is stored: without what nobody may see, but with all that goes back to the agent, or is compared
 * with what it says, as the agent gave it. Nobody is shown the state.
 */
export function redactedState(state: DialogueState, redact: <T>(value: T) => T): DialogueState {
  const clean = redact(state);
  if (clean === state) return state;
  const { phase, opening, requests, session_id, turn, part, permissions, deadline, settle_until } = state;
  const { modes, auth_methods, tool_calls } = state;
  return {
    ...clean,
    ...{ phase, opening, requests, session_id, turn, part, permissions, deadline, settle_until },
    modes: modes && {
      ...modes,
      available: modes.available.map(({ mode_id, name }) => ({ mode_id, name: redact(name) })),
    },
    auth_methods: auth_methods.map(({ id, ...method }) => ({ ...redact(method), id })),
    tool_calls: tool_calls.map(({ view, ...rest }) => {
      const { tool_call_id, kind, status } = view;
      return { view: { ...redact(view), tool_call_id, kind, status }, ...rest };
    }),
  };
}
