import { Inject, Injectable } from '@nestjs/common';
import type { Actor } from '../../../common/auth/actor.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { WINDOW_SECONDS, principalOf } from '../../../common/rate-limit/principal.js';
import { RateLimiter } from '../../../common/rate-limit/rate-limiter.js';
import { tooManyRequests } from '../../../common/rate-limit/too-many.js';

const TRY_AGAIN_SECONDS = 30; // by then the server has found out about most peers that are gone

/** Whatever tells once that it has ended: a TCP connection, an answer, a transport of Socket.IO. */
export interface Ending {
  /** Has ended before. */
  readonly destroyed?: boolean;
  /** `closed` says the same: of a transport of Socket.IO. */
  readonly readyState?: string;
  once(event: 'close', listener: () => void): unknown;
}

/** What counts the names of one connection. */
export interface Naming {
  readonly named: number;
}

/**
 * What one user may have of this process: connections, of whatever kind and by whatever sign-in or key, and names in
 * all their subscriptions. Counted in the same tick in which it is looked at, so requests that come together can't
 * get more.
 */
@Injectable()
export class StreamQuotas {
  private readonly open = new Map<string, number>();
  private readonly namings = new Map<string, Set<Naming>>();
  private readonly claimed = new Map<string, number>();

  constructor(
    private readonly limiter: RateLimiter,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Takes one of the user's connections. Returns what gives it back; called twice it does nothing. @throws DomainError `stream.too_many_connections` */
  take({ user_id }: Actor): () => void {
    const user = user_id ?? '';
    const cap = this.config.stream.connections_per_user;
    if ((this.open.get(user) ?? 0) >= cap) {
      throw new DomainError(
        'too_many_requests',
        'stream.too_many_connections',
        `You have ${cap} streams open, which is all that one user may have (KANDEV_STREAM_CONNECTIONS_PER_USER). ` +
          'Close some, or follow several tasks on one of them.',
        { retry_after_seconds: TRY_AGAIN_SECONDS },
      );
    }
    return reserve(this.open, user, 1);
  }

  /** How many connections the user has, those whose handshake is under way among them. */
  connectionsOf(userId: string): number {
    return this.open.get(userId) ?? 0;
  }

  /** Counts what the connection names as the user's. Returns what ends that. */
  watch({ user_id }: Actor, naming: Naming): () => void {
    const user = user_id ?? '';
    const theirs = this.namings.get(user) ?? new Set();
    this.namings.set(user, theirs.add(naming));
    return () => {
      if (theirs.delete(naming) && theirs.size === 0) this.namings.delete(user);
    };
  }

  /** Keeps room for names while they are looked up. Returns what ends that. @throws DomainError `stream.too_many_subscriptions` */
  claim({ user_id }: Actor, names: number): () => void {
    const user = user_id ?? '';
    const cap = this.config.stream.subscriptions_per_user;
    let all = (this.claimed.get(user) ?? 0) + names;
    for (const { named } of this.namings.get(user) ?? []) all += named;
    if (names > 0 && all > cap) {
      throw new DomainError(
        'invalid',
        'stream.too_many_subscriptions',
        `The connections of one user may name at most ${cap} tasks and boards together ` +
          '(KANDEV_STREAM_SUBSCRIPTIONS_PER_USER). Subscribe to boards, or to all that you may see.',
      );
    }
    return reserve(this.claimed, user, names);
  }

  /** Counts a handshake or a request like one of HTTP. @throws DomainError `request.too_many` */
  async count(actor: Actor): Promise<void> {
    await this.hit(principalOf({ actor, ip: '' }), this.config.rate_limit.per_minute);
  }

  /** The same for an address that has shown nothing, or nothing that holds. @throws DomainError `request.too_many` */
  async countFailure(address: string): Promise<void> {
    await this.hit(principalOf({ ip: address }), this.config.rate_limit.anonymous_per_minute);
  }

  private async hit(principal: string, limit: number): Promise<void> {
    const answer = await this.limiter.hit(`http:${principal}`, limit, WINDOW_SECONDS);
    if (!answer.allowed) throw tooManyRequests(answer.retry_after_seconds);
  }
}

function reserve(counts: Map<string, number>, user: string, number: number): () => void {
  counts.set(user, (counts.get(user) ?? 0) + number);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    const left = (counts.get(user) ?? 0) - number;
    if (left > 0) counts.set(user, left);
    else counts.delete(user);
  };
}
