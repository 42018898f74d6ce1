import type { TaskFeed } from './task-feed.js';

/**
 * A connection's place in one task's log. Live: hints continue at `position` and are taken as they come. Not live:
 * pages are read until `position` has reached the feed's head. Sequence numbers at or below `position` are never
 * taken again, so that late and repeated hints do no harm.
 */
export class Cursor {
  live = true;
  /** Set when the subscription ends; what is still buffered for it is not sent. */
  closed = false;
  /** The last `seq` given to the transport: where to go on when buffered messages have to be dropped. */
  sent: number;

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
  }
}
