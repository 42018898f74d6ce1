import { Injectable, type ExecutionContext } from '@nestjs/common';
import { ThrottlerGuard, type ThrottlerLimitDetail } from '@nestjs/throttler';
import { principalOf, type CountedRequest } from './principal.js';
import { setRateLimitHeaders, tooManyRequests, type HeaderSink } from './too-many.js';

/**
 * Limits the requests of each user, key, agent and, without a sign-in, address. Runs after the guard that knows who
 * asks; what that one refuses is counted by `FailureLimit`. One counter for the whole API, not one an operation.
 */
@Injectable()
export class RateLimitGuard extends ThrottlerGuard {
  protected override headerPrefix = 'RateLimit';

  /** Sockets have limits of their own. */
  protected override shouldSkip(context: ExecutionContext): Promise<boolean> {
    return Promise.resolve(context.getType() !== 'http');
  }

  protected override getTracker(request: Record<string, unknown>): Promise<string> {
    const counted = request as unknown as CountedRequest;
    counted.rate_counted = true;
    return Promise.resolve(principalOf(counted));
  }

  protected override generateKey(_context: ExecutionContext, tracker: string): string {
    return `http:${tracker}`;
  }

  /** @throws DomainError `request.too_many` */
  protected override throwThrottlingException(context: ExecutionContext, detail: ThrottlerLimitDetail): Promise<void> {
    const { limit, timeToExpire, timeToBlockExpire } = detail;
    const reply = context.switchToHttp().getResponse<HeaderSink>();
    setRateLimitHeaders(reply, limit, { remaining: 0, resets_in_seconds: timeToExpire });
    throw tooManyRequests(timeToBlockExpire);
  }
}
