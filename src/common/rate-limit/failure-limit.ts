import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../config/config.module.js';
import type { Config } from '../config/config.js';
import type { DomainError } from '../errors/domain-error.js';
import { principalOf, WINDOW_SECONDS, type CountedRequest } from './principal.js';
import { RateLimiter } from './rate-limiter.js';
import { setRateLimitHeaders, tooManyRequests, type HeaderSink } from './too-many.js';

/**
 * Counts the requests that fail before {@link RateLimitGuard} sees them (wrong tokens, bodies that can't be read,
 * paths that don't exist) against their address. Without it guessing tokens would cost nothing.
 */
@Injectable()
export class FailureLimit {
  constructor(
    private readonly limiter: RateLimiter,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** The refusal that takes the place of the failure's own answer, when there were too many. */
  async refusal(request: CountedRequest, reply: HeaderSink): Promise<DomainError | undefined> {
    const limit = this.config.rate_limit.anonymous_per_minute;
    if (request.rate_counted || request.actor || limit === 0) return undefined;
    request.rate_counted = true;
    const answer = await this.limiter.hit(`http:${principalOf(request)}`, limit, WINDOW_SECONDS);
    setRateLimitHeaders(reply, limit, answer);
    return answer.allowed ? undefined : tooManyRequests(answer.retry_after_seconds);
  }
}
