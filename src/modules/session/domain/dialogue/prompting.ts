import type { CancelReason, PromptBlock, SessionFailure, TurnUsage } from '../../contracts/dialogue.types.js';
import { cancelPermissions, close, endTurn, fail, isReady } from './closing.js';
import type { Exchange } from './exchange.js';
import { authRequired, errorText, failure, failureByError, isAuthRequired } from './failures.js';
import { label, record, type Json } from './lenient.js';
import { CANCEL_MS, MAX_NAME } from './limits.js';
import { promptContent } from './prompt-content.js';
import { leaveToolCalls } from './tool-calls.js';
import { usageOf } from './usage.js';

/** What people want done: begins a turn. One at a time, whatever the agent takes: some end the first for the second. */
export function prompt(x: Exchange, promptId: string, content: readonly PromptBlock[]): void {
  const { state } = x;
  if (state.phase !== 'idle') {
    return x.refuse('prompt', promptId, 'session.not_ready', `The agent takes no prompt now (${state.phase}).`);
  }
  const made = promptContent(content, state.capabilities);
  if ('problem' in made) return x.refuse('prompt', promptId, made.problem.code, made.problem.text);
  state.phase = 'prompting';
  state.turns++;
  state.turn = { prompt_id: promptId, n: state.turns, cancelled_by: null };
  state.part = null;
  state.parts = 0;
  state.words = '';
  state.words_cut = false;
  x.request('session/prompt', { sessionId: state.session_id, prompt: made.blocks });
}

const WEIGHT: Record<CancelReason, number> = { interrupt: 0, inactive: 1, stop: 2 };

/** Asks for the turn's end, once; who asks more strongly later decides what follows. Without a turn a stop is the end. */
export function cancel(x: Exchange, reason: CancelReason): void {
  const { state } = x;
  const { turn } = state;
  if (!turn) return reason === 'stop' && state.phase !== 'closed' ? close(x) : undefined;
  if (turn.cancelled_by === null) {
    x.notify('session/cancel', { sessionId: state.session_id });
    cancelPermissions(x, 'cancelled');
    state.phase = 'cancelling';
    x.wakeIn(CANCEL_MS);
  }
  if (turn.cancelled_by === null || WEIGHT[reason] > WEIGHT[turn.cancelled_by]) turn.cancelled_by = reason;
}

/** The answer to a prompt: the turn has ended. */
export function prompted(x: Exchange, result: unknown, error: Json | null): void {
  const { state } = x;
  const cancelledBy = state.turn!.cancelled_by;
  cancelPermissions(x, 'turn_ended'); // whoever has not asked for the answers until now does not wait for them
  if (error && cancelledBy === null) {
    if (isAuthRequired(error)) return fail(x, authRequired(errorText(error), state.auth_methods));
    return fail(x, failureByError('session.prompt_failed', 'The agent could not work on the prompt', error));
  }
  const told = record(result);
  const stopReason = error ? 'cancelled' : label(told?.['stopReason'], MAX_NAME);
  const usage = usageOf(state, told ?? {});
  const problem = cancelledBy === null ? failureOf(stopReason) : null;
  if (error) x.note(`The agent ended the cancelled turn with an error: ${errorText(error)}.`);
  leaveToolCalls(x);
  tellEnd(x, stopReason, usage, problem);
  endTurn(x, { stop_reason: stopReason, usage, failure: problem });
  if (cancelledBy === 'stop') return close(x);
  if (cancelledBy === 'inactive') return fail(x, INACTIVE);
  isReady(x);
}

const INACTIVE = failure('agent.inactive', 'The agent was silent for too long, so its turn was cancelled.');

/** The agent did not end the turn in time. */
export function cancelTimedOut(x: Exchange): void {
  const { cancelled_by: by } = x.state.turn!;
  if (by === 'stop') return close(x);
  if (by === 'inactive') return fail(x, INACTIVE);
  const text = `The agent did not end its turn within ${CANCEL_MS / 1_000} s after it was cancelled.`;
  fail(x, failure('session.cancel_timeout', text));
}

/** No prompt waits: the last turn's end is the end of the work. */
export function finish(x: Exchange): void {
  const { state } = x;
  if (state.phase !== 'idle') {
    return x.refuse('finish', null, 'session.not_ready', `The dialogue cannot be finished now (${state.phase}).`);
  }
  leaveToolCalls(x); // also those that it told of when its turn was over
  const last = state.last_turn;
  // A turn that had ended well before it heard of being cancelled has ended well.
  const wasCancelled = !last || (last.cancelled && last.stop_reason !== 'end_turn');
  const nothing = last ? 'The turn was cancelled and nobody asked for another.' : 'The agent was asked nothing.';
  const problem = last?.failure ?? (wasCancelled ? failure('session.cancelled', nothing) : null);
  const status = problem ? 'failed' : 'completed';
  const words = state.words.trim();
  const summary = words === '' ? (problem?.text ?? 'The agent ended its turn without a word.') : words;
  const about = { turns: state.turns, stop_reason: last?.stop_reason ?? null, summary_cut: state.words_cut };
  const metadata = { source: 'session', kind: 'result', ...about };
  const message = problem?.text ?? 'The agent has ended its work.';
  const timestamp = x.now.toISOString();
  x.tell({ type: 'result', timestamp, level: null, data: { status, summary, message, metadata } });
  close(x, 'turn_ended');
  x.outcome.ending = problem;
}

function failureOf(stopReason: string | null): SessionFailure | null {
  switch (stopReason) {
    case 'refusal':
      return failure('session.refused', 'The agent refuses to go on. Word the prompt in another way.');
    case 'max_tokens':
      return failure('session.max_tokens', 'The agent has used all tokens that it may in a turn.');
    case 'max_turn_requests':
      return failure('session.max_turn_requests', 'The agent has asked its model as often as it may in a turn.');
    case 'cancelled':
      return failure('session.cancelled', 'The agent says that its turn was cancelled, but nobody here did that.');
    default:
      return null; // end_turn, and whatever newer agents say of a turn that they have ended without an error
  }
}

function tellEnd(
  x: Exchange,
  stopReason: string | null,
  usage: TurnUsage | null,
  problem: SessionFailure | null,
): void {
  const { n, cancelled_by: cancelledBy } = x.state.turn!;
  if (stopReason === null) x.log('warn', 'The agent ended its turn without a reason.', { kind: 'no_stop_reason' });
  const how = cancelledBy === null ? (problem?.text ?? `${stopReason ?? 'no reason given'}.`) : 'cancelled.';
  const [input, output] = [usage?.input_tokens ?? null, usage?.output_tokens ?? null];
  const tokens = input === null || output === null ? '' : ` Tokens: ${input} in, ${output} out.`;
  const cost = usage?.cost ? ` Cost: ${usage.cost.amount} ${usage.cost.currency}.` : '';
  const about = { turn: n, stop_reason: stopReason, cancelled_by: cancelledBy, usage: structuredClone(usage) };
  x.status('turn_ended', `Turn ${n} has ended: ${how}${tokens}${cost}`, about);
}
