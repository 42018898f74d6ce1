import type { FailureCode } from '../../../common/retries/failure-codes.js';
import type { ParkReason } from '../contracts/run.types.js';
import type { EffectiveRetryPolicy } from './retry-policy.js';

/** Failures that may well not come again: what went wrong was around the agent, not in what it did or was told. */
const PASSING: ReadonlySet<string> = new Set<FailureCode>([
  'agent.lost',
  'agent.killed',
  'image.unavailable',
  'container.start_failed',
  'engine.unavailable',
  'workspace.unreachable',
  'workspace.disk_unavailable',
  'server.error',
  // Mostly the agent's provider: it was away, slow or busy.
  'session.initialize_timeout',
  'session.open_failed',
  'session.open_timeout',
  'session.prompt_failed',
  'session.rate_limited',
  'session.cancel_timeout',
  'session.agent_gone',
]);

/** The agent's own ends: there its provider's "retry after" is the reason. Of another end it tells nothing. */
const OF_AGENT: ReadonlySet<string> = new Set<FailureCode>([
  ...(['agent.exit_code', 'agent.reported_failure', 'session.rate_limited'] as const),
]);

/** As long as a provider is heeded, in seconds: a week. */
const MAX_RETRY_AFTER = 604_800;

/** How an attempt failed. */
export interface Failure {
  /** One of FAILURE_CODES, or the code of what refused the launch. */
  code: string | null;
  /** What the agent's provider has asked for, in seconds. */
  retry_after_seconds: number | null;
}

/** Whether there is another attempt: when, what the run is parked for until then, and why in words; or why not. */
export type RetryDecision =
  | { retry: true; not_before: Date; parked_for: Extract<ParkReason, 'back_off' | 'retry_after'>; reason: string }
  | { retry: false; reason: string };

/**
 * Decides it, from the attempt's number (1, 2, …) and what holds for its run. `random` is from 0 to 1. What a user
 * has stopped is never tried again.
 */
export function decideRetry(
  failure: Failure,
  attempt: number,
  policy: EffectiveRetryPolicy,
  now: Date,
  random: number,
): RetryDecision {
  const code = failure.code ?? 'unknown';
  if (code === 'agent.stopped') return { retry: false, reason: 'It was stopped.' };
  const after = OF_AGENT.has(code) ? failure.retry_after_seconds : null;
  if (after === null && !isRetryable(code, policy)) return { retry: false, reason: `${code} is not tried again.` };
  if (attempt >= policy.max_attempts)
    return { retry: false, reason: `That was the last of ${policy.max_attempts} attempt(s).` };
  const backOff = backOffMs(attempt, policy, random);
  const asked = Math.min(Math.max(0, after ?? 0), MAX_RETRY_AFTER) * 1000;
  const parked_for = after !== null && asked >= backOff ? 'retry_after' : 'back_off';
  const why = parked_for === 'retry_after' ? 'its provider has asked for the wait' : `${code} is tried again`;
  return {
    retry: true,
    not_before: new Date(now.getTime() + Math.ceil(Math.max(backOff, asked))),
    parked_for,
    reason: `Attempt ${attempt + 1} of ${policy.max_attempts}: ${why}.`,
  };
}

function isRetryable(code: string, { retry_on }: EffectiveRetryPolicy): boolean {
  return retry_on === null ? PASSING.has(code) : (retry_on as string[]).includes(code);
}

/**
 * Twice as long with each attempt, up to the maximum; a random half of it off, so that runs that failed together
 * don't come back together.
 */
function backOffMs(attempt: number, { backoff_seconds, max_backoff_seconds }: EffectiveRetryPolicy, random: number) {
  const whole = Math.min(max_backoff_seconds, backoff_seconds * 2 ** (attempt - 1)) * 1000;
  return whole / 2 + (whole / 2) * random;
}
