import { DomainError } from '../errors/domain-error.js';
import type { RateLimitAnswer } from './rate-limiter.js';

/** Of a 429: what to wait for. */
export function tooManyRequests(retry_after_seconds: number): DomainError {
  return new DomainError(
    'too_many_requests',
    'request.too_many',
    `Too many requests. Try again in ${retry_after_seconds} s; RateLimit-Remaining says how many are left.`,
    { retry_after_seconds },
  );
}

/** Whatever sets headers. */
export interface HeaderSink {
  header(name: string, value: string): unknown;
}

/** Tells the client where it stands. */
export function setRateLimitHeaders(
  reply: HeaderSink,
  limit: number,
  { remaining, resets_in_seconds }: Pick<RateLimitAnswer, 'remaining' | 'resets_in_seconds'>,
): void {
  reply.header('RateLimit-Limit', String(limit));
  reply.header('RateLimit-Remaining', String(remaining));
  reply.header('RateLimit-Reset', String(resets_in_seconds));
}
