import { FAILURE_CODES, type FailureCode } from './failure-codes.js';

/** What somebody says of when a failed attempt is tried again; null leaves a field to the next one who says something. */
export interface RetryPolicy {
  /** How many attempts a run may have in all. */
  max_attempts: number | null;
  /** How long the second attempt waits, in seconds; each later one twice as long as the one before … */
  backoff_seconds: number | null;
  /** … but no longer than this. */
  max_backoff_seconds: number | null;
  /** The failures that are tried again; instead of those that are by default. */
  retry_on: FailureCode[] | null;
}

/** Anything but these can be tried again: what a user has stopped, and what would end at the same budget. */
const NEVER_AGAIN: readonly FailureCode[] = ['agent.stopped', 'agent.unreachable', 'budget.exceeded'];
export const RETRYABLE_CODES = FAILURE_CODES.filter((code) => !NEVER_AGAIN.includes(code));

/** More attempts than this are a loop, not patience. */
export const MAX_ATTEMPTS = { min: 1, max: 100 } as const;
/** A day before the second attempt: whoever needs longer starts the task anew. */
export const BACKOFF_SECONDS = { min: 1, max: 86_400 } as const;
/** A week, as long as a provider's "retry after" is heeded. */
export const MAX_BACKOFF_SECONDS = { min: 1, max: 604_800 } as const;

/** The policy as it is kept: every field there; null where nothing is said at all, undefined where nothing was sent. */
export function toRetryPolicy(given: Partial<RetryPolicy> | null | undefined): RetryPolicy | null | undefined {
  if (!given) return given;
  const { max_attempts = null, backoff_seconds = null, max_backoff_seconds = null, retry_on = null } = given;
  const policy = { max_attempts, backoff_seconds, max_backoff_seconds, retry_on: retry_on && retry_on.toSorted() };
  return Object.values(policy).every((value) => value === null) ? null : policy;
}
