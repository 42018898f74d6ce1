import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { Newcomers } from './newcomers.js';
import { StreamHub } from './stream-hub.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamSource } from './stream-source.js';

/**
 * The net under the hints: every few seconds one query compares the streams that somebody follows with what is
 * stored. A hint that never came costs its readers that long, and nothing else.
 */
@Injectable()
export class StreamPoll implements OnModuleInit, Worker {
  readonly name = 'stream-poll';
  private readonly logger = new Logger(StreamPoll.name);
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private polls = 0;

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

  /** Forgets what nobody follows and repairs what hints have left out. */
  async poll(): Promise<void> {
    const taskIds = this.hub.sweep();
    this.newcomers.askAgain(this.polls, this.limits.discoverEvery);
    if (this.polls++ % this.limits.discoverEvery === 0) await this.newcomers.discover();
    if (taskIds.length === 0) return;
    const heads = await this.source.heads(taskIds);
    await this.pause(this.limits.hintGraceMs);
    for (const { task_id, head_seq } of heads) this.hub.catchUpTo(task_id, head_seq);
  }

  private async loop(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await this.pause(this.limits.pollMs);
      if (this.stopping.signal.aborted) return;
      try {
        await this.poll();
      } catch (error) {
        this.logger.warn({ err: error }, 'the heads of the streams could not be read; trying again');
      }
    }
  }

  private async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }
}
