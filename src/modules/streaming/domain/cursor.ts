import type { StreamBatch } from './stream-batch.js';
import type { TaskFeed } from './task-feed.js';

/**
 * A connection's place in one task's log. Live: batches continue at `position` and are taken as they come. Not live:
 * pages are read until `position` has reached what the feed has passed on. Sequence numbers at or below `position` are
 * never taken again, so that late and repeated hints do no harm.
 */
export class Cursor {
  live = true;
  /** Set when the subscription ends; what is still buffered for it is not sent. */
  closed = false;
  /** The last `seq` given to the transport: where to go on when buffered messages have to be dropped. */
  sent: number;
  /** How many messages up to `sent` the client can't know to be behind it, because its filter has left them out. */
  unseen = 0;

  constructor(
    readonly feed: TaskFeed,
    /** The last `seq` taken into the buffer. */
    public position: number,
  ) {
    this.sent = position;
  }

  /** Continues after `seq`, as if everything up to it had been sent. */
  moveTo(seq: number): void {
    this.position = seq;
    this.sent = seq;
    this.unseen = 0;
  }

  /** The batch, or the first part of it, was given to the transport. */
  passed({ entries, after, through }: StreamBatch): void {
    this.sent = through;
    const last = entries.at(-1);
    if (last) this.unseen = through - last.seq;
    else this.unseen += through - after;
  }

  /** Says nothing that its feed does not say: a reader without a cursor is at the same place. */
  get idle(): boolean {
    return this.live && this.unseen === 0 && this.sent === this.position && this.position === this.feed.head;
  }
}
