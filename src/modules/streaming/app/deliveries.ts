import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StreamBatch } from '../domain/stream-batch.js';
import type { TaskFeed } from '../domain/task-feed.js';
import type { Audience } from './audience.js';
import type { StreamConnection } from './stream-connection.js';
import type { StreamLimits } from './stream-limits.js';
import type { StreamReader } from './stream-reader.js';

const LOOK_AT_CLOCK = 32; // readers between two looks at the clock: some 100 µs

/** Counts the processor time that a round takes, and lets others have their turn when it has worked for long. */
class WorkClock {
  private worked = 0;
  private since = performance.now();
  private before = process.threadCpuUsage();

  constructor(private readonly sliceMs: number) {}

  /** In milliseconds; not what the machine has given to others meanwhile. */
  get total(): number {
    const { user, system } = process.threadCpuUsage(this.before);
    return this.worked + (user + system) / 1_000;
  }

  get isLong(): boolean {
    return performance.now() - this.since > this.sliceMs;
  }

  async yield(): Promise<void> {
    this.worked = this.total;
    await nextTurn();
    this.since = performance.now();
    this.before = process.threadCpuUsage();
  }
}

/**
 * Offers what waits in feeds to everybody who follows them, one batch of each feed, and sends it. What goes to one
 * connection goes in as few frames as hold it. Only one call at a time.
 */
export class Deliveries {
  private readonly touched: StreamReader[] = [];
  private messages = 0;
  private size = 0;

  constructor(
    private readonly audience: Audience<StreamConnection>,
    private readonly limits: StreamLimits,
  ) {}

  /** Returns the milliseconds of processor time that it took. */
  async run(feeds: readonly TaskFeed[]): Promise<number> {
    const clock = new WorkClock(this.limits.sliceMs);
    for (const feed of feeds) {
      if (feed.broken) this.scatter(feed);
      else if (feed.hasWaiting) await this.deliver(feed, clock);
    }
    await this.flush(clock);
    return clock.total;
  }

  /**
   * Who subscribes meanwhile stands behind the batch already, and who was there is offered it once: `reach` has moved
   * before, `head` does afterwards.
   */
  private async deliver(feed: TaskFeed, clock: WorkClock): Promise<void> {
    const { frameMessages, frameSize } = this.limits;
    const batch = feed.take(frameMessages, frameSize);
    this.messages += batch.entries.length;
    this.size += batch.size;
    const isFull = this.messages > frameMessages || this.size > frameSize;
    // Transports pass on one frame at a time: they get a turn to do so, else their readers' buffers would fill.
    if (isFull && this.touched.length > 0) {
      await this.flush(clock);
      await clock.yield();
      this.messages = batch.entries.length;
      this.size = batch.size;
    }
    try {
      await this.offer(feed, batch, clock);
    } finally {
      feed.offered();
    }
  }

  private async offer(feed: TaskFeed, batch: StreamBatch, clock: WorkClock): Promise<void> {
    let isLate = false;
    for (const [i, connection] of this.audience.of(feed).entries()) {
      if (isLate && !connection.covers(feed)) continue;
      connection.reader.offer(feed, batch.filtered(connection.filterOf(feed)));
      this.touch(connection.reader);
      if (i % LOOK_AT_CLOCK !== 0 || !clock.isLong) continue;
      await clock.yield();
      isLate = true;
    }
  }

  private touch(reader: StreamReader): void {
    if (reader.touched) return;
    reader.touched = true;
    this.touched.push(reader);
  }

  private async flush(clock: WorkClock): Promise<void> {
    const readers = this.touched.splice(0);
    this.messages = 0;
    this.size = 0;
    for (let i = 0; i < readers.length; i++) {
      readers[i]!.flush();
      if (i % LOOK_AT_CLOCK === 0 && clock.isLong) await clock.yield();
    }
  }

  /** A gap can't be filled for all at once, because retention has removed it: each reader looks for itself. */
  private scatter(feed: TaskFeed): void {
    for (const { reader } of this.audience.of(feed)) reader.fallBack(feed);
    feed.leap();
  }
}
