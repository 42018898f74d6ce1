import { Inject, Injectable } from '@nestjs/common';
import { normalizeIp } from '@nestjs/throttler';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { currentRequest } from '../../../common/http/request-context.js';
import { RateLimiter, type RateLimitAnswer } from '../../../common/rate-limit/rate-limiter.js';

/** Five minutes: guessing stays hopeless, and a stranger who fails in somebody's name shuts them out no longer. */
const WINDOW_SECONDS = 300;

/**
 * Slows down whoever guesses passwords. Sign-ins of an address are counted always, those of an account where they fail.
 * An account is what was typed, whether there is one or not, so that the answer tells nothing.
 */
@Injectable()
export class SignInThrottle {
  /** Checks under way, by account: one after the other, so that none starts before the failure of another counts. */
  private readonly queues = new Map<string, Promise<unknown>>();

  constructor(
    private readonly limiter: RateLimiter,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Counts a sign-in of the request's address. @throws DomainError `auth.too_many_attempts` */
  async countAddress(): Promise<void> {
    const key = `sign-in:address:${normalizeIp(currentRequest()?.address ?? '')}`;
    check(await this.limiter.hit(key, this.config.rate_limit.sign_ins_per_address, WINDOW_SECONDS));
  }

  /**
   * What `verify` finds; undefined counts as a failure of the account, anything else forgets its failures.
   * @throws DomainError `auth.too_many_attempts`
   */
  async attempt<T>(account: string, verify: () => Promise<T | undefined>): Promise<T | undefined> {
    const turn = (this.queues.get(account) ?? Promise.resolve()).then(() => this.verifyOnce(account, verify));
    const settled = turn.catch(() => undefined);
    this.queues.set(account, settled);
    try {
      return await turn;
    } finally {
      if (this.queues.get(account) === settled) this.queues.delete(account);
    }
  }

  private async verifyOnce<T>(account: string, verify: () => Promise<T | undefined>): Promise<T | undefined> {
    const key = `sign-in:account:${account}`;
    const limit = this.config.rate_limit.failed_sign_ins_per_account;
    check(await this.limiter.peek(key, limit, WINDOW_SECONDS));
    const found = await verify();
    if (found === undefined) await this.limiter.hit(key, limit, WINDOW_SECONDS);
    else await this.limiter.reset(key);
    return found;
  }
}

function check({ allowed, retry_after_seconds }: RateLimitAnswer): void {
  if (allowed) return;
  throw new DomainError(
    'too_many_requests',
    'auth.too_many_attempts',
    `Too many sign-ins. Try again in ${retry_after_seconds} s.`,
    { retry_after_seconds },
  );
}
