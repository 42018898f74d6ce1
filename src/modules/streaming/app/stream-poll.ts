import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { WakeUp } from '../../../common/bus/wake-up.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { Newcomers } from './newcomers.js';
import { StreamHub } from './stream-hub.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamSource } from './stream-source.js';

/** After something that no hint told of: where another process stores what its agents say, more is to come. */
const SOON_MS = 50;

/**
 * The net under the hints: every few seconds one query compares the streams that somebody follows with what is
 * stored. A hint that never came costs its readers that long, and nothing else. Where other processes tell nothing of
 * what their agents say, because it can't be heard, tasks that have something to say are looked at again soon, else less
 * and less often.
 */
@Injectable()
export class StreamPoll implements OnModuleInit, Worker {
  readonly name = 'stream-poll';
  readonly roles = ['api'] as const;
  private readonly logger = new Logger(StreamPoll.name);
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private readonly bell = new WakeUp();
  private polls = 0;
  /** Hints may have been missed, of any task. */
  private missed = false;
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
    this.bell.ring();
    await this.running;
  }

  /** Forgets what nobody follows and repairs what hints have left out. Says whether there was anything. */
  async poll(): Promise<boolean> {
    const taskIds = this.hub.sweep();
    this.newcomers.askAgain(this.polls, this.limits.discoverEvery);
    const isLarge = this.missed || this.polls % this.limits.discoverEvery === 0;
    this.polls++;
    this.missed = false;
    if (isLarge) await this.newcomers.discover();
    return this.look(taskIds);
  }

  /** Polls at once, and looks for unknown tasks too: hints may have been missed. */
  lookAtAll(): void {
    this.missed = true;
    this.bell.ring();
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
      await this.bell.wait(Math.min(restMs, Math.max(0, next - performance.now())));
      if (this.stopping.signal.aborted) return;
      const isFull = this.missed || performance.now() >= next;
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
