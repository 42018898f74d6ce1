import { createHash } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import type { Count, Counters } from './counters.js';
import { MemoryCounters } from './memory-counters.js';

/** Whether one more is within the limit. */
export interface RateLimitAnswer {
  allowed: boolean;
  /** How many more there may be in this window. */
  remaining: number;
  /** Whole seconds until it makes sense to try again, at least 1; 0 when it is allowed. */
  retry_after_seconds: number;
  /** Whole seconds until the counter starts again from nothing. */
  resets_in_seconds: number;
}

const ANSWER_WITHIN_MS = 1_000; // a counter must not hold a request up for longer than its own work takes
const AWAY_MS = 5_000; // how long a database that did not answer is left alone
const LOG_EVERY_MS = 60_000;

/**
 * Counts what somebody does, in windows that begin with the first hit. Keys say who and what (`login:address:10.0.0.1`);
 * only their hashes are kept. Never throws: while the database is away this process counts by itself.
 */
@Injectable()
export class RateLimiter {
  private readonly logger = new Logger(RateLimiter.name);
  private awayUntil = 0;
  private logAgainAt = 0;

  constructor(
    private readonly counters: Counters,
    private readonly own: MemoryCounters,
  ) {}

  /** Counts one; `limit` 0 is no limit. */
  hit(key: string, limit: number, windowSeconds: number): Promise<RateLimitAnswer> {
    return this.answer(limit, windowSeconds, (counters) => counters.hit(hashed(key), windowSeconds));
  }

  /** What {@link hit} would answer, without counting. */
  peek(key: string, limit: number, windowSeconds: number): Promise<RateLimitAnswer> {
    return this.answer(limit, windowSeconds, async (counters) => {
      const { hits, resets_in } = await counters.peek(hashed(key), windowSeconds);
      return { hits: hits + 1, resets_in };
    });
  }

  /** Forgets what was counted. */
  async reset(key: string): Promise<void> {
    await this.ask((counters) => counters.reset(hashed(key)));
  }

  private async answer(
    limit: number,
    windowSeconds: number,
    count: (counters: Counters) => Promise<Count>,
  ): Promise<RateLimitAnswer> {
    if (limit === 0) {
      return { allowed: true, remaining: Infinity, retry_after_seconds: 0, resets_in_seconds: windowSeconds };
    }
    const { hits, resets_in } = await this.ask(count);
    const allowed = hits <= limit;
    const resets_in_seconds = Math.max(1, Math.ceil(resets_in));
    return {
      allowed,
      remaining: Math.max(0, limit - hits),
      retry_after_seconds: allowed ? 0 : resets_in_seconds,
      resets_in_seconds,
    };
  }

  private async ask<T>(question: (counters: Counters) => Promise<T>): Promise<T> {
    if (this.counters === this.own || performance.now() < this.awayUntil) return question(this.own);
    try {
      return await withinTime(question(this.counters));
    } catch (error) {
      const now = performance.now();
      this.awayUntil = now + AWAY_MS;
      if (now >= this.logAgainAt) {
        this.logAgainAt = now + LOG_EVERY_MS;
        this.logger.warn({ err: error }, 'the shared counters of rate limits do not answer; this process counts alone');
      }
      return question(this.own);
    }
  }
}

function hashed(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_WITHIN_MS} ms`)), ANSWER_WITHIN_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
