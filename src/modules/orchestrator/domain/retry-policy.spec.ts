import { describe, expect, it } from 'vitest';
import type { RetryPolicy } from '../../../common/retries/retry-policy.js';
import { effectiveRetryPolicy } from './retry-policy.js';

const SETTINGS = { retry_max_attempts: 3, retry_backoff_seconds: 10, retry_max_backoff_seconds: 600 };
const policy = (given: Partial<RetryPolicy>): RetryPolicy => ({
  ...{ max_attempts: null, backoff_seconds: null, max_backoff_seconds: null, retry_on: null },
  ...given,
});

describe('the policy that holds', () => {
  it("is the server's where nobody says anything", () => {
    const expected = { max_attempts: 3, backoff_seconds: 10, max_backoff_seconds: 600, retry_on: null };
    expect(effectiveRetryPolicy(null, null, SETTINGS)).toEqual(expected);
    expect(effectiveRetryPolicy(policy({}), policy({}), SETTINGS)).toEqual(expected);
  });

  it("is the task's, else the agent type's, field by field", () => {
    const task = policy({ max_attempts: 9, retry_on: [] });
    const type = policy({ max_attempts: 5, backoff_seconds: 60, retry_on: ['agent.timeout'] });
    expect(effectiveRetryPolicy(task, type, SETTINGS)).toEqual({
      ...{ max_attempts: 9, backoff_seconds: 60, max_backoff_seconds: 600, retry_on: [] },
    });
  });
});
