import type { EndedTurn, PermissionClosing, SessionFailure } from '../../contracts/dialogue.types.js';
import { SESSION_SOURCE, type Exchange } from './exchange.js';
import { leaveToolCalls } from './tool-calls.js';

/** Tells the agent that nobody answers any of its open permission requests. */
export function cancelPermissions(x: Exchange, why: PermissionClosing): void {
  for (const { key, id_json } of x.state.permissions) {
    if (why !== 'agent_gone') x.reply(id_json, { outcome: { outcome: 'cancelled' } });
    x.outcome.closed.push({ key, why, option_id: null });
  }
  x.state.permissions = [];
}

/** The turn's end, where there is one. No tool call stays open, whether it was told of in a turn or after it. */
export function endTurn(x: Exchange, end: Pick<EndedTurn, 'stop_reason' | 'usage' | 'failure'>): void {
  const { turn } = x.state;
  leaveToolCalls(x);
  if (!turn) return;
  x.outcome.turns.push({ prompt_id: turn.prompt_id, turn: turn.n, cancelled_by: turn.cancelled_by, ...end });
  x.state.turn = null;
  const { stop_reason, failure } = end;
  x.state.last_turn = { stop_reason, failure, cancelled: turn.cancelled_by !== null };
}

/** The end, asked for by us: nothing of the agent's is waited for any more. */
export function close(x: Exchange, why: PermissionClosing = 'session_closed'): void {
  cancelPermissions(x, why);
  endTurn(x, { stop_reason: null, usage: null, failure: null });
  x.state.phase = 'closed';
  x.state.deadline = null;
  x.state.requests = [];
}

/** The end by a failure. A second one changes nothing. */
export function fail(x: Exchange, failure: SessionFailure): void {
  if (x.state.phase === 'closed') return;
  endTurn(x, { stop_reason: null, usage: null, failure });
  close(x);
  x.outcome.ending = failure;
  const metadata = { source: SESSION_SOURCE, kind: 'failure', code: failure.code };
  const { retry_after_seconds } = failure;
  const data = { message: failure.text, ...(retry_after_seconds !== undefined && { retry_after_seconds }), metadata };
  x.tell({ type: 'error', timestamp: x.now.toISOString(), level: 'error', data });
}

/** Takes a prompt from here on. */
export function isReady(x: Exchange): void {
  x.state.phase = 'idle';
  x.state.deadline = null;
}
