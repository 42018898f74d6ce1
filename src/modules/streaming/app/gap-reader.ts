import { Logger } from '@nestjs/common';
import { consecutiveEntries, type StreamEntry } from '../domain/stream-entry.js';
import type { TaskFeed } from '../domain/task-feed.js';
import type { Audience } from './audience.js';
import type { StreamConnection } from './stream-connection.js';
import type { StreamLimits } from './stream-limits.js';
import type { StreamSource } from './stream-source.js';

/** Reads what is known to be stored and was never taken by a feed, once for all its live readers. */
export class GapReader {
  private readonly logger = new Logger(GapReader.name);

  constructor(
    private readonly audience: Audience<StreamConnection>,
    private readonly source: StreamSource,
    private readonly limits: StreamLimits,
    /** Called when the feed has something to be offered. */
    private readonly onFilled: (feed: TaskFeed) => void,
  ) {}

  /** Reads until the gap is filled, or as much as may wait. Tries no more when the database is away: others will. */
  async fill(feed: TaskFeed): Promise<void> {
    if (feed.filling) return;
    feed.filling = true;
    try {
      while (feed.end < feed.known && !feed.broken && feed.hasRoom(this.limits)) {
        const isWanted = this.audience.of(feed).some(({ reader }) => reader.isLive(feed.task_id));
        const page = isWanted ? await this.read(feed) : [];
        // Without a soul to offer it to, or where nothing follows: on to the end.
        if (page[0] && page[0].seq <= feed.end + 1) feed.accept(page, this.limits);
        else if (feed.end < feed.known) feed.broken = true;
        this.onFilled(feed);
      }
    } catch (error) {
      this.logger.warn({ err: error, task_id: feed.task_id }, 'a gap in a stream could not be read; trying again');
    } finally {
      feed.filling = false;
    }
  }

  private async read(feed: TaskFeed): Promise<readonly StreamEntry[]> {
    const { messages } = await this.source.read(feed.task_id, feed.end, this.limits.maxPage, null);
    return consecutiveEntries(messages);
  }
}
