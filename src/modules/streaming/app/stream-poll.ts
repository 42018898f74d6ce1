import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { Newcomers } from './newcomers.js';
import { StreamHub } from './stream-hub.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamSource } from './stream-source.js';

/** After something that no hint told of: where another process stores what its agents say, more is to come. */
const SOON_MS = 50;

/**
 * The net under the hints: every few seconds one query compares the streams that somebody follows with what is
 * stored. A hint that never came costs its readers that long, and nothing else. Tasks whose agents are looked after by
 * another process give no hints here: as long as they have something to say they are looked at again soon, else less
 * and less often.
 */
@Injectable()
export class StreamPoll implements OnModuleInit, Worker {
  readonly name = 'stream-poll';
  readonly roles = ['api'] as const;
  private readonly logger = new Logger(StreamPoll.name);
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private polls = 0;
  /** Tasks that lately had news which nobody here told of. */
  private readonly moving = new Set<string>();

  constructor(
    private readonly hub: StreamHub,
    private readonly newcomers: Newcomers,
    private readonly source: StreamSource,
    private readonly workers: Workers,
    @Inject(STREAM_LIMITS) private readonly limits: StreamLimits,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Forgets what nobody follows and repairs what hints have left out. Says whether there was anything. */
  async poll(): Promise<boolean> {
    const taskIds = this.hub.sweep();
    this.newcomers.askAgain(this.polls, this.limits.discoverEvery);
    if (this.polls++ % this.limits.discoverEvery === 0) await this.newcomers.discover();
    return this.look(taskIds);
  }

  private async look(taskIds: readonly string[]): Promise<boolean> {
    if (taskIds.length === 0) return false;
    const heads = await this.source.heads(taskIds);
    await this.pause(this.limits.hintGraceMs);
    const news = heads.filter(({ task_id, head_seq }) => this.hub.catchUpTo(task_id, head_seq));
    for (const { task_id } of news) this.moving.add(task_id);
    return news.length > 0;
  }

  private async loop(): Promise<void> {
    const { pollMs } = this.limits;
    let next = performance.now() + pollMs;
    for (let restMs = pollMs; !this.stopping.signal.aborted;) {
      await this.pause(Math.min(restMs, Math.max(0, next - performance.now())));
      if (this.stopping.signal.aborted) return;
      const isFull = performance.now() >= next;
      if (isFull) next = performance.now() + pollMs;
      try {
        const isNews = await (isFull ? this.poll() : this.look([...this.moving]));
        restMs = isNews ? SOON_MS : Math.min(2 * restMs, pollMs);
      } catch (error) {
        this.logger.warn({ err: error }, 'the heads of the streams could not be read; trying again');
        restMs = pollMs;
      }
      if (restMs === pollMs) this.moving.clear();
    }
  }

  private async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }
}
