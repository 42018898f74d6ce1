import type { ThrottlerStorage } from '@nestjs/throttler';
import type { ThrottlerStorageRecord } from '@nestjs/throttler/dist/throttler-storage-record.interface.js';
import type { RateLimiter } from './rate-limiter.js';

/** The guard's counters are those of {@link RateLimiter}. */
export class LimiterStorage implements ThrottlerStorage {
  constructor(private readonly limiter: RateLimiter) {}

  /** `ttl` in milliseconds; the record in seconds, as the guard puts it into headers. */
  async increment(key: string, ttl: number, limit: number): Promise<ThrottlerStorageRecord> {
    const answer = await this.limiter.hit(key, limit, ttl / 1000);
    return {
      totalHits: answer.allowed ? limit - answer.remaining : limit + 1,
      timeToExpire: answer.resets_in_seconds,
      isBlocked: !answer.allowed,
      timeToBlockExpire: answer.retry_after_seconds,
    };
  }
}
