import type { DialogueEvent } from '../../contracts/dialogue.types.js';
import { close, fail } from './closing.js';
import { Exchange, type Outcome } from './exchange.js';
import { failure } from './failures.js';
import { lineHeard, tooLong } from './hearing.js';
import { INITIALIZE_MS, MODE_MS, OPENING_MS } from './limits.js';
import { setMode } from './modes.js';
import { begin, openAgain, settled } from './opening.js';
import { answer } from './permissions.js';
import { cancel, cancelTimedOut, finish, prompt } from './prompting.js';
import { within } from './spending.js';
import { newDialogue, type DialogueState } from './state.js';

/** What comes of events, and where the dialogue is after them. */
export interface Step extends Outcome {
  state: DialogueState;
  /** When a `time` event is wanted (RFC 3339), if nothing else happens before; null: not at all. */
  wake_at: string | null;
}

/**
 * What comes of an event. A function of its arguments alone: nothing is changed, and whoever asks again with what was
 * stored gets the same. Never throws, whatever an agent writes.
 */
export function step(state: DialogueState, event: DialogueEvent, now: Date): Step {
  return steps(state, [event], now);
}

/**
 * What comes of events that are heard at once: the same as of one after the other, except that messages that follow each
 * other and are pieces of one text, or say more of one tool call, have become one message.
 */
export function steps(before: DialogueState, events: readonly DialogueEvent[], now: Date): Step {
  // What a state of before an update of the server lacks is as at the beginning.
  const x = new Exchange({ ...newDialogue(), ...structuredClone(before) }, now);
  for (const event of events) within(x, event, () => hear(x, event));
  return { ...x.outcome, state: x.state, wake_at: x.state.deadline };
}

function hear(x: Exchange, event: DialogueEvent): void {
  switch (event.type) {
    case 'begun':
      return begin(x, structuredClone(event.opening));
    case 'line':
      return lineHeard(x, event.text);
    case 'too_long':
      return tooLong(x, event.bytes, event.head ?? '');
    case 'prompt':
      return prompt(x, event.prompt_id, event.content);
    case 'answer':
      return answer(x, event.key, event.option_id);
    case 'set_mode':
      return setMode(x, event.mode_id);
    case 'cancel':
      return cancel(x, event.reason);
    case 'finish':
      return finish(x);
    case 'gone':
      return x.state.phase === 'closed' ? undefined : close(x, 'agent_gone');
    case 'time':
      return timePassed(x);
  }
}

function timePassed(x: Exchange): void {
  const { state } = x;
  if (state.deadline === null || x.now.getTime() < Date.parse(state.deadline)) return;
  switch (state.phase) {
    case 'initializing':
      return fail(x, timedOut('session.initialize_timeout', 'answer initialize', INITIALIZE_MS));
    case 'authenticating':
      return fail(x, timedOut('session.auth_required', 'end its authentication', OPENING_MS));
    case 'opening':
      if (state.requests.length === 0) return openAgain(x);
      return fail(x, timedOut('session.open_timeout', 'open the session', OPENING_MS));
    case 'settling':
      return settled(x);
    case 'setting_mode':
      return fail(x, timedOut('session.mode_unavailable', 'change its mode', MODE_MS));
    case 'cancelling':
      return cancelTimedOut(x);
    case 'starting':
    case 'idle':
    case 'prompting':
    case 'closed':
      return; // no time of theirs: how long a turn may be silent is said by those who see its output
  }
}

function timedOut(code: Parameters<typeof failure>[0], what: string, ms: number): ReturnType<typeof failure> {
  return failure(code, `The agent did not ${what} within ${ms / 1_000} s.`);
}
