import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { faultPoint } from '../../../common/ops/fault-points.js';
import type { MessagePage } from '../../agent/contracts/agent.queries.js';
import type { Cursor } from '../domain/cursor.js';
import type { MessageFilter } from '../domain/message-filter.js';
import { StreamBatch } from '../domain/stream-batch.js';
import { consecutiveEntries } from '../domain/stream-entry.js';
import type { ResetFrame } from '../domain/stream-sink.js';
import type { TaskFeed } from '../domain/task-feed.js';
import { PageSize } from './page-size.js';
import type { StreamLimits } from './stream-limits.js';
import type { StreamSource } from './stream-source.js';

const logger = new Logger('CatchUp'); // one for all: there may be thousands of readers

/** The connection, as far as a catch-up needs it. */
export interface CatchUpTarget {
  readonly closed: boolean;
  /** What it wants of the task; the same object as long as it wants the same. */
  filterOf(feed: TaskFeed): MessageFilter | null;
  room(): Promise<void>;
  take(cursor: Cursor, batch: StreamBatch): void;
  flush(): void;
  reset(frame: ResetFrame): void;
}

/**
 * Reads pages for those cursors of a connection that are behind, one page at a time and in turns. The next page is
 * read while the transport passes on the last one, and taken when there is room for it. A cursor that has reached what
 * its feed has passed on is live in the same tick: no batch can come in between, so there is neither gap nor double at
 * the seam.
 */
export class CatchUp {
  private readonly behind = new Set<Cursor>();
  private readonly page: PageSize;
  private running = false;

  constructor(
    private readonly target: CatchUpTarget,
    private readonly source: StreamSource,
    private readonly limits: StreamLimits,
  ) {
    this.page = new PageSize(limits);
  }

  add(cursor: Cursor): void {
    cursor.live = false;
    this.behind.add(cursor);
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  private async run(): Promise<void> {
    await nextTurn(); // the answer to the request that began this goes first
    let retryMs = this.limits.retryMs;
    while (this.behind.size > 0 && !this.target.closed) {
      const cursor = this.nextInTurn();
      if (this.settle(cursor)) continue;
      try {
        await this.step(cursor);
        retryMs = this.limits.retryMs;
      } catch (error) {
        logger.warn({ err: error, task_id: cursor.feed.task_id }, 'a stream could not be read; trying again');
        await sleep(retryMs, undefined, { ref: false });
        retryMs = Math.min(2 * retryMs, this.limits.maxRetryMs);
      }
    }
    this.running = false;
  }

  private nextInTurn(): Cursor {
    const cursor = this.behind.values().next().value!;
    this.behind.delete(cursor);
    this.behind.add(cursor);
    return cursor;
  }

  /** Whether nothing is left to do for the cursor: it is closed, or live from now on. */
  private settle(cursor: Cursor): boolean {
    const { feed } = cursor;
    if (!cursor.closed) {
      // Such a position was never given out, at least not by this database.
      if (cursor.position > feed.known) this.skipTo(cursor, feed.known + 1);
      if (cursor.position < feed.reach) return false;
      faultPoint('stream.seam');
      cursor.live = true;
    }
    this.behind.delete(cursor);
    return true;
  }

  /** Reads and takes one page. In a process where many pages wait for their readers, only once there is room. */
  private async step(cursor: Cursor): Promise<void> {
    const isAhead = this.source.ahead.take();
    try {
      if (!isAhead) await this.target.room();
      const { feed, position } = cursor;
      const filter = this.target.filterOf(feed);
      const read = this.cut(await this.source.read(feed.task_id, position, this.page.current, filter));
      await this.target.room();
      // Meanwhile it may have been set back or asked for something else: then the page is not what follows.
      if (this.isOver(cursor) || cursor.position !== position || this.target.filterOf(feed) !== filter) return;
      if (read.through_seq <= position) await this.overHole(cursor);
      else this.take(cursor, read, filter !== null);
    } finally {
      if (isAhead) this.source.ahead.give();
    }
  }

  /**
   * The first messages of a page, at least one: it may wait long for a client that does not read, and so may what is
   * left of it when the transport has taken a frame.
   */
  private cut(page: MessagePage): MessagePage {
    let size = 0;
    let count = 0;
    for (const [i, { json }] of page.messages.entries()) {
      size += json.length;
      if (i === 0 || size <= this.page.bound) count++;
    }
    if (count > 0) this.page.learn(size);
    if (count === page.messages.length) return page;
    const messages = page.messages.slice(0, count);
    return { messages, through_seq: messages.at(-1)!.seq };
  }

  private take(cursor: Cursor, { messages, through_seq }: MessagePage, isFiltered: boolean): void {
    const entries = isFiltered ? messages : consecutiveEntries(messages);
    const first = entries[0];
    // A filtered page never spans a hole; in others it shows.
    if (!isFiltered && first && first.seq > cursor.position + 1) this.skipTo(cursor, first.seq);
    const batch = new StreamBatch(entries, cursor.position, isFiltered ? through_seq : entries.at(-1)!.seq);
    cursor.feed.note(batch.through);
    this.target.take(cursor, batch);
    this.settle(cursor);
    this.target.flush();
  }

  private isOver(cursor: Cursor): boolean {
    return this.target.closed || cursor.closed;
  }

  /** Nothing is stored after the cursor although the feed has been further: retention, or the task is deleted. */
  private async overHole(cursor: Cursor): Promise<void> {
    const { feed, position } = cursor;
    const [head] = await this.source.heads([feed.task_id]);
    if (this.isOver(cursor) || cursor.position !== position) return;
    if (!head || head.head_seq <= position) return cursor.moveTo(feed.reach);
    const first = head.first_seq || head.head_seq + 1;
    if (first <= position + 1) throw new Error('a page was empty although its messages are there');
    this.skipTo(cursor, first);
  }

  private skipTo(cursor: Cursor, firstSeq: number): void {
    this.target.reset({ task_id: cursor.feed.task_id, first_seq: firstSeq });
    cursor.moveTo(firstSeq - 1);
  }
}
