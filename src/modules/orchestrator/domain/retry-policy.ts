import type { FailureCode } from '../../../common/retries/failure-codes.js';
import type { RetryPolicy } from '../../../common/retries/retry-policy.js';

/** What holds for a run: as {@link RetryPolicy}, with every number known. `retry_on` null: what is by default. */
export interface EffectiveRetryPolicy {
  max_attempts: number;
  backoff_seconds: number;
  max_backoff_seconds: number;
  retry_on: FailureCode[] | null;
}

/** The server's own settings, by their names there. */
export interface RetrySettings {
  retry_max_attempts: number;
  retry_backoff_seconds: number;
  retry_max_backoff_seconds: number;
}

/** What the task says, else its agent type, else the server; field by field. */
export function effectiveRetryPolicy(
  task: RetryPolicy | null,
  agentType: RetryPolicy | null,
  settings: RetrySettings,
): EffectiveRetryPolicy {
  const said = <K extends keyof RetryPolicy>(field: K) => task?.[field] ?? agentType?.[field] ?? null;
  return {
    max_attempts: said('max_attempts') ?? settings.retry_max_attempts,
    backoff_seconds: said('backoff_seconds') ?? settings.retry_backoff_seconds,
    max_backoff_seconds: said('max_backoff_seconds') ?? settings.retry_max_backoff_seconds,
    retry_on: said('retry_on'),
  };
}
