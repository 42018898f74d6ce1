import { Injectable, Logger } from '@nestjs/common';
import { DatabaseNews, MAX_NEWS_BYTES } from '../../../common/persistence/database-news.js';
import { MovedStreams } from '../domain/moved-streams.js';

/** The number is a lock's, and only has to be no other channel's. */
export const STREAMS_CHANNEL = { name: 'kandev_streams', listens: 1 };

/** What moves within this long is told together: nobody sees it, and 50 commits a second bother nobody. */
const GATHER_MS = 20;
/** Where nobody listens it is looked this much later whether anybody does. Whoever begins looks for themselves. */
const ALONE_MS = 1_000;

/**
 * Tells the other server processes which streams have moved here, if any of them listens. Apart from the transactions
 * that store messages, as every NOTIFY holds all others up while it commits. What is not told is found by polls.
 */
@Injectable()
export class StreamTeller {
  private readonly logger = new Logger(StreamTeller.name);
  private readonly moved = new MovedStreams();
  private planned = false;
  private notBefore = 0;

  constructor(private readonly news: DatabaseNews) {}

  /** Messages from `first` to `last` of the task are committed. */
  note(task_id: string, first: number, last: number): void {
    this.moved.note({ task_id, first, last });
    this.plan();
  }

  private plan(): void {
    if (this.planned) return;
    this.planned = true;
    const wait = this.notBefore - performance.now();
    if (wait <= 0) setImmediate(() => void this.tell());
    else setTimeout(() => void this.tell(), wait).unref();
  }

  private async tell(): Promise<void> {
    const began = performance.now();
    let restMs = ALONE_MS;
    try {
      if (await this.news.tell(STREAMS_CHANNEL, this.moved.take(MAX_NEWS_BYTES))) restMs = GATHER_MS;
    } catch (error) {
      this.logger.warn({ err: error }, 'other processes could not be told of messages; they look for themselves');
    }
    this.notBefore = began + restMs;
    this.planned = false;
    if (!this.moved.isEmpty) this.plan();
  }
}
