import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAILURE_CODES } from '../../../common/retries/failure-codes.js';
import { RETRYABLE_CODES } from '../../../common/retries/retry-policy.js';
import { decideRetry, type Failure, type RetryDecision } from './decide-retry.js';
import type { EffectiveRetryPolicy } from './retry-policy.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const POLICY: EffectiveRetryPolicy = { max_attempts: 3, backoff_seconds: 10, max_backoff_seconds: 600, retry_on: null };
const WEEK_MS = 604_800_000;

const failed = (code: string | null, retry_after_seconds: number | null = null): Failure => ({
  code,
  retry_after_seconds,
});
/** How long it waits, in ms; undefined where there is no other attempt. */
const wait = (decision: RetryDecision) => (decision.retry ? decision.not_before.getTime() - NOW.getTime() : undefined);

/** What is tried again by default, written from the outside. Nothing else is. */
const BY_DEFAULT = `agent.lost agent.killed image.unavailable container.start_failed engine.unavailable
  workspace.unreachable workspace.disk_unavailable server.error session.initialize_timeout session.open_failed
  session.open_timeout session.prompt_failed session.rate_limited session.cancel_timeout
  session.agent_gone`.split(/\s+/);

describe('what is tried again', () => {
  it.each([...FAILURE_CODES, 'agent_type.not_found', null])('%s', (code) => {
    expect(decideRetry(failed(code), 1, POLICY, NOW, 0).retry).toBe(BY_DEFAULT.includes(code ?? ''));
  });

  it('none that a person has ended, nor one that would end at the same budget', () => {
    expect(RETRYABLE_CODES).not.toContain('agent.stopped');
    expect(RETRYABLE_CODES).not.toContain('budget.exceeded');
  });

  it.each(RETRYABLE_CODES)('%s, where the policy names it and nothing else', (code) => {
    const policy = { ...POLICY, retry_on: [code] };
    for (const other of FAILURE_CODES)
      expect(decideRetry(failed(other), 1, policy, NOW, 0).retry, other).toBe(other === code);
  });

  it('is nothing by an empty list', () => {
    for (const code of FAILURE_CODES)
      expect(decideRetry(failed(code), 1, { ...POLICY, retry_on: [] }, NOW, 0).retry).toBe(false);
  });

  it('is an end of the agent that its provider has asked to wait for, whatever the list says', () => {
    for (const retry_on of [null, []]) {
      const policy = { ...POLICY, retry_on };
      expect(decideRetry(failed('agent.exit_code', 30), 1, policy, NOW, 0)).toMatchObject({ retry: true });
      expect(decideRetry(failed('agent.reported_failure', 30), 1, policy, NOW, 0)).toMatchObject({ retry: true });
      expect(decideRetry(failed('agent.disk_limit', 30), 1, policy, NOW, 0)).toMatchObject({ retry: false });
      expect(decideRetry(failed('agent.stopped', 30), 1, policy, NOW, 0)).toMatchObject({ retry: false });
    }
  });

  it.each([
    [1, true],
    [2, true],
    [3, false],
    [4, false],
  ])('after attempt %i of 3: %s', (attempt, retry) => {
    expect(decideRetry(failed('agent.lost'), attempt, POLICY, NOW, 0).retry).toBe(retry);
    expect(decideRetry(failed('agent.exit_code', 1), attempt, POLICY, NOW, 0).retry).toBe(retry);
  });
});

describe('the wait', () => {
  const policy = { ...POLICY, max_attempts: 100 };
  it.each([
    [1, 0, 5_000],
    [1, 1, 10_000],
    [2, 0, 10_000],
    [2, 1, 20_000],
    [6, 1, 320_000],
    [7, 1, 600_000],
    [99, 1, 600_000],
    [99, 0, 300_000],
  ])('after attempt %i, with chance %d: %i ms', (attempt, random, ms) => {
    const decision = decideRetry(failed('agent.lost'), attempt, policy, NOW, random);
    expect(decision).toMatchObject({ retry: true, parked_for: 'back_off' });
    expect(wait(decision)).toBe(ms);
  });

  it.each([
    [30, 'retry_after', 30_000],
    [10, 'retry_after', 10_000],
    [3, 'back_off', 10_000],
    [0, 'back_off', 10_000],
    [1e9, 'retry_after', WEEK_MS],
  ])('that a provider asks for, %i s', (seconds, parked_for, ms) => {
    const decision = decideRetry(failed('agent.reported_failure', seconds), 1, POLICY, NOW, 1);
    expect(decision).toMatchObject({ retry: true, parked_for });
    expect(wait(decision)).toBe(ms);
  });
});

describe('whatever comes', () => {
  const policies = fc.record({
    max_attempts: fc.integer({ min: 1, max: 100 }),
    backoff_seconds: fc.integer({ min: 1, max: 86_400 }),
    max_backoff_seconds: fc.integer({ min: 1, max: 604_800 }),
    retry_on: fc.option(fc.uniqueArray(fc.constantFrom(...RETRYABLE_CODES)), { nil: null }),
  });
  const failures = fc.record({
    code: fc.option(fc.constantFrom<string>(...FAILURE_CODES), { nil: null }),
    retry_after_seconds: fc.option(fc.double({ min: 0, noNaN: true }), { nil: null }),
  });
  const chance = fc.double({ min: 0, max: 1, noNaN: true });
  const attempts = fc.integer({ min: 1, max: 200 });

  it('the wait is never negative and never beyond the maximum, or what the provider may ask for', () => {
    const property = fc.property(failures, attempts, policies, chance, (failure, attempt, policy, random) => {
      const ms = wait(decideRetry(failure, attempt, policy, NOW, random));
      if (ms === undefined) return;
      const asked = Math.min(failure.retry_after_seconds ?? 0, WEEK_MS / 1000) * 1000;
      expect(ms).toBeGreaterThan(0);
      expect(ms).toBeLessThanOrEqual(Math.ceil(Math.max(policy.max_backoff_seconds * 1000, asked)));
      expect(ms).toBeGreaterThanOrEqual(
        Math.min(policy.backoff_seconds, policy.max_backoff_seconds) * 500, // half of the first
      );
    });
    fc.assert(property);
  });

  it('the bounds of the wait never fall from one attempt to the next', () => {
    const property = fc.property(policies, attempts, fc.constantFrom(0, 1), (policy, attempt, random) => {
      const lasting = { ...policy, max_attempts: 1000, retry_on: null };
      const of = (number: number) => wait(decideRetry(failed('agent.lost'), number, lasting, NOW, random)) ?? 0;
      expect(of(attempt + 1)).toBeGreaterThanOrEqual(of(attempt));
    });
    fc.assert(property);
  });

  it('the last attempt is the last, and what was stopped stays so', () => {
    const property = fc.property(failures, policies, chance, attempts, (failure, policy, random, more) => {
      const last = policy.max_attempts + more - 1;
      expect(decideRetry(failure, last, policy, NOW, random).retry).toBe(false);
      expect(decideRetry({ ...failure, code: 'agent.stopped' }, 1, policy, NOW, random).retry).toBe(false);
    });
    fc.assert(property);
  });
});
