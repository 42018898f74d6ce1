import type { Cursor } from './cursor.js';
import type { StreamBatch } from './stream-batch.js';
import type { StreamFrame } from './stream-frame.js';

/** Bounds, in messages and in UTF-16 units of JSON. A single message may be larger than a frame. */
export interface BufferBounds {
  bufferMessages: number;
  bufferSize: number;
  frameMessages: number;
  frameSize: number;
  /** After so many messages that a filter has left out a client is told its position. */
  positionEvery: number;
}

interface Delivery {
  cursor: Cursor;
  batch: StreamBatch;
}

/** What one connection has taken and not yet sent, in order. Batches are shared between connections. */
export class DeliveryBuffer {
  private queue: Delivery[] = [];
  private messages = 0;
  private size = 0;
  private unseen: Set<Cursor> | undefined;

  constructor(private readonly bounds: BufferBounds) {}

  get empty(): boolean {
    return this.queue.length === 0;
  }

  /** Past the bound: what is in it must be sent now or dropped. */
  get full(): boolean {
    const { bufferMessages, bufferSize } = this.bounds;
    // Batches of which a filter has left nothing count by themselves.
    return this.messages > bufferMessages || this.size > bufferSize || this.queue.length > bufferMessages;
  }

  /**
   * Takes what lies above the cursor's position and moves it. False if the batch begins beyond: whatever brings it,
   * nothing is sent before what precedes it.
   */
  push(cursor: Cursor, batch: StreamBatch): boolean {
    if (batch.through <= cursor.position) return true;
    if (batch.after > cursor.position) return false;
    const fresh = batch.beyond(cursor.position);
    cursor.position = batch.through;
    if (fresh.entries.length === 0 && this.queue.length === 0) {
      this.passed(cursor, fresh);
      return true;
    }
    this.queue.push({ cursor, batch: fresh });
    this.count(fresh, 1);
    return true;
  }

  /** The next frame; undefined when nothing is left. Marks what it returns as sent. */
  take(): StreamFrame | undefined {
    let frame: StreamFrame | undefined;
    for (let delivery = this.queue[0]; delivery; delivery = this.queue[0]) {
      const { cursor, batch } = delivery;
      if (!cursor.closed && batch.entries.length > 0) {
        if (frame && !this.fits(frame, batch)) return frame;
        if (!frame && !this.fits(null, batch)) return this.takeFirst(delivery);
        frame = frame ? frame.with(batch) : batch;
      }
      if (!cursor.closed) this.passed(cursor, batch);
      this.count(batch, -1);
      this.queue.shift();
    }
    return frame;
  }

  /** A cursor whose client is to be told where it is, because it was sent nothing for so long. */
  takeUnseen(): Cursor | undefined {
    for (const cursor of this.unseen ?? []) {
      this.unseen!.delete(cursor);
      if (cursor.closed || cursor.unseen < this.bounds.positionEvery) continue;
      cursor.unseen = 0;
      return cursor;
    }
    return undefined;
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

  private passed(cursor: Cursor, batch: StreamBatch): void {
    cursor.passed(batch);
    if (cursor.unseen >= this.bounds.positionEvery) (this.unseen ??= new Set()).add(cursor);
  }

  private fits(frame: StreamFrame | null, batch: StreamBatch): boolean {
    const { frameMessages, frameSize } = this.bounds;
    if (frame)
      return frame.entries.length + batch.entries.length <= frameMessages && frame.size + batch.size <= frameSize;
    return batch.entries.length === 1 || (batch.entries.length <= frameMessages && batch.size <= frameSize);
  }

  /** As much of a batch as a frame holds; at least one message. */
  private takeFirst(delivery: Delivery): StreamFrame {
    const { entries } = delivery.batch;
    let count = 1;
    let size = entries[0]!.json.length;
    for (; count < this.bounds.frameMessages; count++) {
      size += entries[count]!.json.length;
      if (size > this.bounds.frameSize) break;
    }
    const [first, rest] = delivery.batch.split(count);
    delivery.batch = rest;
    this.passed(delivery.cursor, first);
    this.count(first, -1);
    return first;
  }

  private count({ entries, size }: StreamBatch, sign: 1 | -1): void {
    this.messages += sign * entries.length;
    this.size += sign * size;
  }
}
