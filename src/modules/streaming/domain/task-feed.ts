import { consecutiveEntries, type StreamEntry } from './stream-entry.js';
import { StreamBatch } from './stream-batch.js';

/** How much may wait for its turn, in messages and in UTF-16 units of JSON; past it the database is asked again. */
export interface FeedBounds {
  bufferMessages: number;
  bufferSize: number;
}

/**
 * What this process knows of one task's log, in this order: `head` ≤ `reach` ≤ `end` ≤ `known`. A reader without a
 * cursor of its own is at `head`, so that a task that says nothing costs its subscribers nothing.
 */
export class TaskFeed {
  /** Everything up to here was offered to every live reader. */
  head = 0;
  /** Everything up to here was offered to every live reader or is being offered now. */
  reach = 0;
  /** The highest `seq` known to be stored; above `end` while a hint is late or lost. */
  known = 0;
  /** What was known when it was loaded; no {@link onNews} has told of it. */
  start = 0;
  /** Whether `head` means something yet. */
  loaded = false;
  /** A fill is reading what live readers have missed. */
  filling = false;
  /** What follows can't be read for all at once: each reader looks for itself. */
  broken = false;
  /** Something was not taken because enough waits: to be read once there is room. */
  refused = false;
  /** Subscriptions that are being set up and need the feed to stay. */
  pins = 0;
  private waiting: StreamEntry[] = [];
  private waitingSize = 0;

  constructor(
    readonly task_id: string,
    readonly board_id: string,
    /** Messages from `first` on have become known: once for each of them, from whomever. */
    private readonly onNews: (feed: TaskFeed, first: number) => void = () => undefined,
  ) {}

  /** The end of what waits to be offered. */
  get end(): number {
    return this.waiting.at(-1)?.seq ?? this.reach;
  }

  get hasWaiting(): boolean {
    return this.waiting.length > 0;
  }

  /** Whether a batch is being offered. */
  get isOffering(): boolean {
    return this.head !== this.reach;
  }

  /** Sets where live readers stand; from then on hints are passed on. */
  load(head: number): void {
    this.head = head;
    this.reach = head;
    this.known = Math.max(this.known, head);
    this.start = this.known;
    this.loaded = true;
  }

  /** All up to here is stored, whoever has found out. */
  note(seq: number): void {
    if (seq <= this.known) return;
    const first = this.known + 1;
    this.known = seq;
    if (this.loaded) this.onNews(this, first);
  }

  /** Whether more may wait. Who finds none is {@link refused}. */
  hasRoom({ bufferMessages, bufferSize }: FeedBounds): boolean {
    this.refused ||= this.waiting.length > bufferMessages || this.waitingSize > bufferSize;
    return !this.refused;
  }

  /** Lets messages wait to be offered; false when they leave a gap, or when too much waits already. */
  accept(messages: readonly StreamEntry[], bounds: FeedBounds): boolean {
    const run = consecutiveEntries(messages);
    const { end } = this;
    if (run.length === 0 || run[0]!.seq > end + 1) return false;
    if (!this.hasRoom(bounds)) return false;
    for (const entry of run) {
      if (entry.seq <= end) continue;
      this.waiting.push(entry);
      this.waitingSize += entry.json.length;
    }
    this.note(this.end);
    return run.length === messages.length;
  }

  /** The next batch, at least one message of what waits; `head` follows once it was {@link offered}. */
  take(maxMessages: number, maxSize: number): StreamBatch {
    let count = 1;
    let size = this.waiting[0]?.json.length ?? 0;
    for (; count < Math.min(maxMessages, this.waiting.length); count++) {
      size += this.waiting[count]!.json.length;
      if (size > maxSize) break;
    }
    const entries = this.waiting.splice(0, count);
    const after = this.reach;
    this.reach = entries.at(-1)?.seq ?? after;
    const batch = new StreamBatch(entries, after, this.reach);
    this.waitingSize -= batch.size;
    return batch;
  }

  /** Everybody was offered what was taken. */
  offered(): void {
    this.head = this.reach;
  }

  /** Goes on after all that is known, as if it had been offered. */
  leap(): void {
    this.waiting = [];
    this.waitingSize = 0;
    this.reach = this.known;
    this.head = this.known;
    this.broken = false;
  }
}
