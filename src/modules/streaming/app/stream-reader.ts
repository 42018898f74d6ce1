import { Logger } from '@nestjs/common';
import { Cursor } from '../domain/cursor.js';
import { DeliveryBuffer } from '../domain/delivery-buffer.js';
import type { StreamEntry } from '../domain/stream-entry.js';
import type { ResetFrame, StreamEnd, StreamSink } from '../domain/stream-sink.js';
import type { TaskFeed } from '../domain/task-feed.js';
import { CatchUp } from './catch-up.js';
import { StallWatch } from './stall-watch.js';
import type { StreamLimits } from './stream-limits.js';
import type { StreamSource } from './stream-source.js';

const logger = new Logger('StreamReader'); // one for all: there may be thousands of readers
const TOO_SLOW: StreamEnd = {
  code: 'stream.too_slow',
  detail: 'You do not read what you are sent. Connect again and go on after the last seq you have.',
};

/**
 * One connection's cursors and what waits for its transport. Live messages wait in a bounded buffer; when the
 * transport does not keep up the buffer is dropped and the cursors concerned read on from the database, at the
 * connection's own pace.
 */
export class StreamReader {
  closed = false;
  private readonly cursors = new Map<string, Cursor>();
  private readonly buffer: DeliveryBuffer;
  private readonly catchUp: CatchUp;
  private flushTimer: NodeJS.Timeout | undefined;
  private readonly stall: StallWatch;
  private roomWanted: (() => void)[] = [];

  constructor(
    private readonly sink: StreamSink,
    source: StreamSource,
    private readonly limits: StreamLimits,
    /** Called once, when the connection has ended for whatever reason. */
    private readonly onClosed: () => void,
  ) {
    this.buffer = new DeliveryBuffer(limits);
    this.catchUp = new CatchUp(this, source, limits);
    this.stall = new StallWatch(limits.stallMs, () => this.close(TOO_SLOW));
    sink.onDrain(() => this.flush());
  }

  /** Live messages, consecutive, that continue at the feed's head; called before the head moves on. */
  offer(feed: TaskFeed, entries: readonly StreamEntry[]): void {
    if (this.closed) return;
    const cursor = this.cursors.get(feed.task_id) ?? this.place(feed, feed.head);
    if (!cursor.live) return;
    this.buffer.push(cursor, entries);
    if (this.buffer.full) {
      this.flush();
      if (this.buffer.full) for (const dropped of this.buffer.drop()) this.catchUp.add(dropped);
    } else if (this.sink.writable) {
      this.flushTimer ??= setTimeout(() => this.flush(), this.limits.flushMs);
    } else {
      this.stall.observe(false);
    }
  }

  /** Takes what a catch-up has read; {@link flush} sends it. */
  take(cursor: Cursor, entries: readonly StreamEntry[]): void {
    this.buffer.push(cursor, entries);
  }

  /** Is, or would be, fed by {@link offer}. */
  isLive(taskId: string): boolean {
    return this.cursors.get(taskId)?.live ?? true;
  }

  /** Starts with the first message after what is known now; for a task that was not followed so far. */
  follow(feed: TaskFeed): void {
    if (feed.known > feed.head) this.place(feed, feed.known);
  }

  /** Stops waiting for hints and reads on its own. */
  fallBack(feed: TaskFeed): void {
    if (this.closed || !this.isLive(feed.task_id)) return;
    this.catchUp.add(this.cursors.get(feed.task_id) ?? this.place(feed, feed.head));
  }

  /** Starts, or starts again, after `seq`. */
  restart(feed: TaskFeed, seq: number): void {
    const old = this.cursors.get(feed.task_id);
    if (old) old.closed = true;
    this.catchUp.add(this.place(feed, seq));
  }

  /** Ends the cursors of tasks that are no longer wanted; nothing more of them is sent. */
  retain(wanted: (feed: TaskFeed) => boolean): void {
    for (const [taskId, cursor] of this.cursors) {
      if (wanted(cursor.feed)) continue;
      cursor.closed = true;
      this.cursors.delete(taskId);
    }
  }

  reset(frame: ResetFrame): void {
    this.sink.reset(frame);
  }

  /** Sends as much as the transport takes. */
  flush(): void {
    clearTimeout(this.flushTimer);
    this.flushTimer = undefined;
    if (this.closed) return;
    try {
      while (!this.buffer.empty && this.sink.writable) {
        const frame = this.buffer.take();
        if (frame.length > 0) this.sink.send(frame);
      }
    } catch (error) {
      logger.error({ err: error }, 'a stream could not be written');
      this.close({ code: 'server.error', detail: 'Something went wrong on our side. Connect again.' });
      return;
    }
    this.stall.observe(this.sink.writable);
    if (this.hasRoom) this.giveRoom();
  }

  /** Resolves when everything taken was sent and the transport takes more, or when the connection has ended. */
  async room(): Promise<void> {
    this.flush();
    if (this.closed || this.hasRoom) return;
    await new Promise<void>((resolve) => this.roomWanted.push(resolve));
  }

  /** For a client that goes on asking without reading. */
  closeIfClogged(): void {
    if (!this.sink.writable) this.close(TOO_SLOW);
  }

  /** Ends the connection and tells the client why. */
  close(end: StreamEnd): void {
    if (this.closed) return;
    this.dispose();
    this.sink.close(end);
  }

  /** Forgets everything; for a transport that is gone already. */
  dispose(): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.flushTimer);
    this.stall.stop();
    this.buffer.drop();
    this.cursors.clear();
    this.giveRoom();
    this.onClosed();
  }

  private place(feed: TaskFeed, position: number): Cursor {
    const cursor = new Cursor(feed, position);
    this.cursors.set(feed.task_id, cursor);
    return cursor;
  }

  private get hasRoom(): boolean {
    return this.buffer.empty && this.sink.writable;
  }

  private giveRoom(): void {
    const wanted = this.roomWanted;
    this.roomWanted = [];
    for (const resolve of wanted) resolve();
  }
}
