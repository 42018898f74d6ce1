import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DatabaseNews } from '../../../common/persistence/database-news.js';
import { readMoves } from '../domain/moved-streams.js';
import { StreamHub } from './stream-hub.js';
import { StreamPoll } from './stream-poll.js';
import { STREAMS_CHANNEL } from './stream-teller.js';

/** Feeds the hub with what other processes have stored: at once where they tell, else the polls do. */
@Injectable()
export class StreamNews implements OnModuleInit, Worker {
  readonly name = 'stream-news';
  readonly roles = ['api'] as const;

  constructor(
    private readonly hub: StreamHub,
    private readonly polls: StreamPoll,
    private readonly news: DatabaseNews,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.news.listen({
      ...STREAMS_CHANNEL,
      hear: (text) => this.hear(text),
      begun: () => this.polls.lookAtAll(),
    });
  }

  async stop(): Promise<void> {
    // The connection is not ours.
  }

  private hear(text: string): void {
    const moves = readMoves(text);
    if (moves === 'all') this.polls.lookAtAll();
    else for (const { task_id, first, last } of moves) this.hub.told(task_id, first, last);
  }
}
