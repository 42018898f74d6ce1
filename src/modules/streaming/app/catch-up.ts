import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { Cursor } from '../domain/cursor.js';
import { consecutiveEntries, type StreamEntry } from '../domain/stream-entry.js';
import type { ResetFrame } from '../domain/stream-sink.js';
import { PageSize } from './page-size.js';
import type { StreamLimits } from './stream-limits.js';
import type { StreamSource } from './stream-source.js';

const logger = new Logger('CatchUp'); // one for all: there may be thousands of readers

/** The connection, as far as a catch-up needs it. */
export interface CatchUpTarget {
  readonly closed: boolean;
  room(): Promise<void>;
  take(cursor: Cursor, entries: readonly StreamEntry[]): void;
  flush(): void;
  reset(frame: ResetFrame): void;
}

/**
 * Reads pages for those cursors of a connection that are behind, one page at a time and in turns, each when the
 * transport has room for it. A cursor that has reached its feed's head is live in the same tick: no hint can come in
 * between, so there is neither gap nor double at the seam.
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
        await this.target.room();
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
      if (cursor.position < feed.head) return false;
      cursor.live = true;
    }
    this.behind.delete(cursor);
    return true;
  }

  private async step(cursor: Cursor): Promise<void> {
    if (this.target.closed || cursor.closed) return;
    const { feed } = cursor;
    const entries = consecutiveEntries(await this.source.read(feed.task_id, cursor.position, this.page.current));
    if (this.target.closed || cursor.closed) return;
    const first = entries[0];
    if (!first) return this.overHole(cursor);
    if (first.seq !== cursor.position + 1) this.skipTo(cursor, first.seq);
    this.page.learn(entries.reduce((size, entry) => size + entry.json.length, 0));
    feed.note(entries.at(-1)!.seq);
    this.target.take(cursor, entries);
    this.settle(cursor);
    this.target.flush();
  }

  /** Nothing is stored after the cursor although the feed has been further: retention, or the task is deleted. */
  private async overHole(cursor: Cursor): Promise<void> {
    const [head] = await this.source.heads([cursor.feed.task_id]);
    if (this.target.closed || cursor.closed) return;
    if (!head || head.head_seq <= cursor.position) return cursor.moveTo(cursor.feed.head);
    const first = head.first_seq || head.head_seq + 1;
    if (first <= cursor.position + 1) throw new Error('a page was empty although its messages are there');
    this.skipTo(cursor, first);
  }

  private skipTo(cursor: Cursor, firstSeq: number): void {
    this.target.reset({ task_id: cursor.feed.task_id, first_seq: firstSeq });
    cursor.moveTo(firstSeq - 1);
  }
}
