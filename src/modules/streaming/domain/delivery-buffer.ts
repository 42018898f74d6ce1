import type { Cursor } from './cursor.js';
import type { StreamEntry } from './stream-entry.js';

/** Bounds, in messages and in UTF-16 units of JSON. A single message may be larger than a frame. */
export interface BufferBounds {
  bufferMessages: number;
  bufferSize: number;
  frameMessages: number;
  frameSize: number;
}

interface Delivery {
  cursor: Cursor;
  entries: readonly StreamEntry[];
  next: number;
}

/** What one connection has taken and not yet sent, in order. Entries are shared between connections. */
export class DeliveryBuffer {
  private queue: Delivery[] = [];
  private messages = 0;
  private size = 0;

  constructor(private readonly bounds: BufferBounds) {}

  get empty(): boolean {
    return this.queue.length === 0;
  }

  /** Past the bound: what is in it must be sent now or dropped. */
  get full(): boolean {
    return this.messages > this.bounds.bufferMessages || this.size > this.bounds.bufferSize;
  }

  /** Takes the entries above the cursor's position and moves it; they are consecutive and leave no gap. */
  push(cursor: Cursor, entries: readonly StreamEntry[]): void {
    const first = entries[0];
    const last = entries.at(-1);
    if (!first || !last || last.seq <= cursor.position) return;
    const next = Math.max(0, cursor.position + 1 - first.seq);
    this.queue.push({ cursor, entries, next });
    for (let i = next; i < entries.length; i++) this.count(entries[i]!, 1);
    cursor.position = last.seq;
  }

  /** The next frame, at least one message unless nothing is left; marks what it returns as sent. */
  take(): StreamEntry[] {
    const frame: StreamEntry[] = [];
    let size = 0;
    while (this.queue.length > 0) {
      const delivery = this.queue[0]!;
      for (; delivery.next < delivery.entries.length; delivery.next++) {
        const entry = delivery.entries[delivery.next]!;
        if (!delivery.cursor.closed) {
          if (frame.length >= this.bounds.frameMessages) return frame;
          if (frame.length > 0 && size + entry.json.length > this.bounds.frameSize) return frame;
          frame.push(entry);
          size += entry.json.length;
          delivery.cursor.sent = entry.seq;
        }
        this.count(entry, -1);
      }
      this.queue.shift();
    }
    return frame;
  }

  /** Forgets everything; returns the cursors concerned, set back to what was really sent. */
  drop(): Set<Cursor> {
    const cursors = new Set<Cursor>();
    for (const { cursor } of this.queue) {
      if (cursor.closed) continue;
      cursor.position = cursor.sent;
      cursors.add(cursor);
    }
    this.queue = [];
    this.messages = 0;
    this.size = 0;
    return cursors;
  }

  private count(entry: StreamEntry, sign: 1 | -1): void {
    this.messages += sign;
    this.size += sign * entry.json.length;
  }
}
