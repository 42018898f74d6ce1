import type { FailureCode } from '../../../../common/retries/failure-codes.js';
import type { TrialFacts } from '../../contracts/trial-dialogues.js';
import type { CheckTarget, TrialRun, Verdict } from './image-check.types.js';

/** A run in which there was a dialogue. */
export type Talked = TrialRun & { session: TrialFacts };

/** Why a request has no answer: it has ended, it has written what nobody understands, or it is still silent. */
export function unanswered(
  { exit, stop_ms, session }: Talked,
  target: CheckTarget,
  method: string,
  late: FailureCode,
): Verdict {
  const { failure } = session;
  if (failure) return ['fail', failure.text, failure.code];
  if (exit && stop_ms === null && session.waits_for.includes(method)) {
    const code = exit.exit_code ?? 'unknown';
    const oom = exit.oom_killed ? ' It was killed for using more memory than its limit.' : '';
    return ['fail', `It ended with exit code ${code} before it answered ${method}.${oom}`, 'session.agent_gone'];
  }
  const text = `No answer to ${method} by ${target.patience_seconds} s after its start. Look at what it says on stderr, or give it more time.`;
  return ['fail', text, late];
}
