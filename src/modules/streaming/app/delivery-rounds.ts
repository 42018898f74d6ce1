import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { TaskFeed } from '../domain/task-feed.js';
import type { StreamLimits } from './stream-limits.js';

/** What a round does: offers of each feed one batch. Resolves to the milliseconds of processor time that it took. */
export type Round = (feeds: readonly TaskFeed[]) => Promise<number>;

/**
 * Paces live messages. Where nothing goes on a round begins as soon as what tells of the messages is done, so that who watches
 * alone waits for nothing. After each round comes a rest as long as the round was costly: what arrives meanwhile
 * shares the frames of the next one, as frames cost and bytes hardly do.
 */
export class DeliveryRounds {
  private readonly logger = new Logger(DeliveryRounds.name);
  private readonly waiting = new Set<TaskFeed>();
  private active = false;

  constructor(
    private readonly round: Round,
    private readonly limits: StreamLimits,
  ) {}

  /** The feed has something to be offered. */
  request(feed: TaskFeed): void {
    this.waiting.add(feed);
    if (this.active) return;
    this.active = true;
    queueMicrotask(() => void this.run());
  }

  private async run(): Promise<void> {
    while (this.waiting.size > 0) {
      const feeds = [...this.waiting];
      this.waiting.clear();
      const worked = await this.work(feeds);
      const isBehind = feeds.some((feed) => feed.hasWaiting);
      const restMs = Math.min(worked * (isBehind ? 1 : this.limits.rest), this.limits.maxRestMs);
      // A timer takes a millisecond at least; who works less than that may go on.
      if (restMs >= 1) await sleep(restMs, undefined, { ref: false });
      else if (this.waiting.size > 0) await nextTurn();
    }
    this.active = false;
  }

  private async work(feeds: readonly TaskFeed[]): Promise<number> {
    try {
      return await this.round(feeds);
    } catch (error) {
      this.logger.error(
        { err: error },
        'live messages could not be passed on; the next look at the database repairs it',
      );
      return this.limits.maxRestMs;
    }
  }
}
