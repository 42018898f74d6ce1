import { Logger } from '@nestjs/common';
import type { Cursor } from '../domain/cursor.js';
import { Cursors } from '../domain/cursors.js';
import { DeliveryBuffer } from '../domain/delivery-buffer.js';
import type { MessageFilter } from '../domain/message-filter.js';
import type { StreamBatch } from '../domain/stream-batch.js';
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
const FAILED: StreamEnd = {
  code: 'server.error',
  detail: 'Something went wrong on our side. Connect again.',
};

/**
 * One connection's cursors and what waits for its transport. Live messages wait in a bounded buffer; when the
 * transport does not keep up the buffer is dropped and the cursors concerned read on from the database, at the
 * connection's own pace. Who is at the head of every task has no cursors.
 */
export class StreamReader {
  closed = false;
  /** What the connection wants of a task; its subscriptions say. */
  filterOf: (feed: TaskFeed) => MessageFilter | null = () => null;
  /** Was offered something in this round and is to be flushed at its end. */
  touched = false;
  private readonly cursors = new Cursors();
  private readonly buffer: DeliveryBuffer;
  private catchUp: CatchUp | undefined;
  private stall: StallWatch | undefined;
  private roomWanted: (() => void)[] | undefined;

  constructor(
    private readonly sink: StreamSink,
    private readonly source: StreamSource,
    private readonly limits: StreamLimits,
    /** Called once, when the connection has ended for whatever reason. */
    private readonly onClosed: () => void,
  ) {
    this.buffer = new DeliveryBuffer(limits);
    sink.onDrain(() => this.flush());
  }

  /** Live messages that continue at the feed's head; called before the head moves on. {@link flush} sends them. */
  offer(feed: TaskFeed, batch: StreamBatch): void {
    if (this.closed) return;
    const cursor = this.cursors.get(feed.task_id) ?? this.cursors.place(feed, feed.head);
    if (!cursor.live) return;
    if (!this.buffer.push(cursor, batch)) return this.restart(feed, cursor.sent); // what lies between is stored
    if (!this.buffer.full) return;
    this.flush();
    if (this.buffer.full) for (const dropped of this.buffer.drop()) this.readOn(dropped);
  }

  /** Takes what a catch-up has read, if it is what follows; {@link flush} sends it. */
  take(cursor: Cursor, batch: StreamBatch): void {
    this.buffer.push(cursor, batch);
  }

  /** Is, or would be, fed by {@link offer}. */
  isLive(taskId: string): boolean {
    return this.cursors.get(taskId)?.live ?? true;
  }

  /** Starts with the first message after what is known now; for a task that was not followed so far. */
  follow(feed: TaskFeed): void {
    if (feed.known > feed.head) this.cursors.place(feed, feed.known);
  }

  /** Stops waiting for live messages and reads on its own. */
  fallBack(feed: TaskFeed): void {
    if (this.closed || !this.isLive(feed.task_id)) return;
    this.readOn(this.cursors.get(feed.task_id) ?? this.cursors.place(feed, feed.head));
  }

  /** Starts, or starts again, after `seq`. */
  restart(feed: TaskFeed, seq: number): void {
    this.readOn(this.cursors.place(feed, seq));
  }

  /** Ends the cursors of tasks that are no longer wanted; nothing more of them is sent. */
  retain(wanted: (feed: TaskFeed) => boolean): void {
    this.cursors.retain(wanted);
  }

  reset(frame: ResetFrame): void {
    this.sink.reset(frame);
  }

  /** Sends as much as the transport takes. */
  flush(): void {
    this.touched = false;
    if (this.closed) return;
    try {
      this.send();
    } catch (error) {
      return this.fail(error);
    }
    const { writable } = this.sink;
    if (!writable) this.stall ??= new StallWatch(this.limits.stallMs, () => this.close(TOO_SLOW));
    this.stall?.observe(writable);
    if (!this.hasRoom) return;
    this.giveRoom();
    this.cursors.tidy();
  }

  /** Resolves when everything taken was sent and the transport takes more, or when the connection has ended. */
  async room(): Promise<void> {
    this.flush();
    if (this.closed || this.hasRoom) return;
    await new Promise<void>((resolve) => (this.roomWanted ??= []).push(resolve));
  }

  /** For a client that goes on asking without reading. */
  closeIfClogged(): void {
    if (!this.sink.writable) this.close(TOO_SLOW);
  }

  /** Ends the connection because of a fault of ours; throws nothing, lest others suffer from it. */
  fail(error: unknown): void {
    logger.error({ err: error }, 'a stream could not be written');
    try {
      this.close(FAILED);
    } catch (err) {
      logger.error({ err }, 'a stream that could not be written could not be closed either');
    }
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
    this.stall?.stop();
    this.buffer.drop();
    this.cursors.clear();
    this.giveRoom();
    this.onClosed();
  }

  private send(): void {
    while (this.sink.writable) {
      const frame = this.buffer.take();
      if (frame) {
        this.sink.send(frame);
        continue;
      }
      const cursor = this.buffer.takeUnseen();
      if (!cursor) return;
      this.sink.position({ task_id: cursor.feed.task_id, seq: cursor.sent });
    }
  }

  private readOn(cursor: Cursor): void {
    this.catchUp ??= new CatchUp(this, this.source, this.limits);
    this.catchUp.add(cursor);
  }

  private get hasRoom(): boolean {
    return this.buffer.empty && this.sink.writable;
  }

  private giveRoom(): void {
    const wanted = this.roomWanted;
    this.roomWanted = undefined;
    for (const resolve of wanted ?? []) resolve();
  }
}
