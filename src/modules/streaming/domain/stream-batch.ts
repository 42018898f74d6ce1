import { passes, type MessageFilter } from './message-filter.js';
import type { StreamEntry } from './stream-entry.js';
import { StreamFrame } from './stream-frame.js';

/**
 * A stretch of one task's log, shared by all that read it: what lies above `after` and up to `through`, without what
 * a filter has left out.
 */
export class StreamBatch extends StreamFrame {
  private parts: Map<MessageFilter, StreamBatch> | undefined;

  constructor(
    entries: readonly StreamEntry[],
    readonly after: number,
    readonly through: number,
  ) {
    super(entries);
  }

  /** What passes the filter; the same object for all that have the filter. */
  filtered(filter: MessageFilter | null): StreamBatch {
    if (!filter) return this;
    this.parts ??= new Map();
    let part = this.parts.get(filter);
    if (!part) {
      const wanted = this.entries.filter((entry) => passes(filter, entry));
      part = wanted.length === this.entries.length ? this : new StreamBatch(wanted, this.after, this.through);
      this.parts.set(filter, part);
    }
    return part;
  }

  /** The part above `seq`. */
  beyond(seq: number): StreamBatch {
    if (seq <= this.after) return this;
    return new StreamBatch(
      this.entries.filter((entry) => entry.seq > seq),
      seq,
      this.through,
    );
  }

  /** Its first messages, as many as `count`, and what is left. */
  split(count: number): [StreamBatch, StreamBatch] {
    const seq = this.entries[count - 1]?.seq ?? this.after;
    const [first, rest] = [this.entries.slice(0, count), this.entries.slice(count)];
    return [new StreamBatch(first, this.after, seq), new StreamBatch(rest, seq, this.through)];
  }
}
