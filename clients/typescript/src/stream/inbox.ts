import type { Item } from './messages.js';

/** @internal What waits for the consumer. */
export type Delivery = Exclude<Item, { ack: unknown }>;

// What a consumer may be behind. A socket of a browser can't be told to wait, so each overrun costs a new connection:
// rare for whoever keeps up on the whole, and bounded for whoever does not.
const MAX_ITEMS = 10_000;
const MAX_SIZE = 8_388_608; // UTF-16 units of JSON; eight messages of the largest kind

/** @internal A bounded queue between a connection and its consumer. */
export class Inbox {
  private items: { delivery: Delivery; size: number }[] = [];
  private head = 0;
  private size = 0;
  private ended: { error?: unknown } | undefined;
  private readonly waiting: ((arrived: void) => void)[] = [];
  private roomWanted: (() => void) | undefined;

  constructor(
    private readonly maxItems = MAX_ITEMS,
    private readonly maxSize = MAX_SIZE,
  ) {}

  get full(): boolean {
    return this.length >= this.maxItems || this.size >= this.maxSize;
  }

  push(delivery: Delivery, size: number): void {
    this.items.push({ delivery, size });
    this.size += size;
    this.waiting.shift()?.();
  }

  /** The next one; undefined when there will be none. @throws the error that it was ended with, after all else */
  async take(): Promise<Delivery | undefined> {
    for (;;) {
      const next = this.items[this.head];
      if (next) return this.remove(next);
      if (this.ended && 'error' in this.ended) throw this.ended.error;
      if (this.ended) return undefined;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** Resolves when most of what was there is taken, or when it has ended. */
  async room(): Promise<void> {
    if (!this.full || this.ended) return;
    await new Promise<void>((resolve) => (this.roomWanted = resolve));
  }

  /** Nothing more will come. `discard` drops what waits. */
  end(end: { error?: unknown }, discard = false): void {
    this.ended ??= end;
    if (discard) {
      this.items = [];
      this.head = this.size = 0;
    }
    for (const wake of this.waiting.splice(0)) wake();
    this.roomWanted?.();
  }

  private get length(): number {
    return this.items.length - this.head;
  }

  private remove({ delivery, size }: { delivery: Delivery; size: number }): Delivery {
    this.head++;
    this.size -= size;
    if (this.head > 1_000 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head); // now and then, so that taking one costs the same however many wait
      this.head = 0;
    }
    if (this.length <= this.maxItems / 4 && this.size <= this.maxSize / 4) {
      this.roomWanted?.();
      this.roomWanted = undefined;
    }
    return delivery;
  }
}
