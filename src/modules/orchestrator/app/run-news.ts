import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DatabaseNews } from '../../../common/persistence/database-news.js';
import { DispatchSignal } from './dispatch-signal.js';

const CHANNEL = 'kandev_runs';

/**
 * Hears from PostgreSQL, whichever process has written it, that a run was queued, or is wanted otherwise than it is. Only
 * a hint: the slow polls serve while the connection is away, and what was told meanwhile is found by them.
 */
@Injectable()
export class RunNews implements OnModuleInit, Worker {
  readonly name = 'run-news';
  readonly roles = ['runner'] as const;
  private readonly listeners: ((runId: string) => void)[] = [];

  constructor(
    private readonly news: DatabaseNews,
    private readonly dispatchSignal: DispatchSignal,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  /** Calls `listener` with the id of each run that is wanted otherwise: stopped, paused, resumed. */
  onWish(listener: (runId: string) => void): void {
    this.listeners.push(listener);
  }

  start(): void {
    const ring = (): void => this.dispatchSignal.ring();
    this.news.listen({ name: CHANNEL, hear: (runId) => this.hear(runId), begun: ring });
  }

  async stop(): Promise<void> {
    // The connection is not ours.
  }

  private hear(runId: string): void {
    if (runId === '') this.dispatchSignal.ring();
    else for (const listener of this.listeners) listener(runId);
  }
}
