import { setImmediate as nextTurn } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
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
  private readonly logger = new Logger(Deliveries.name);
  private readonly touched: StreamReader[] = [];
  private messages = 0;
  private size = 0;

  constructor(
    private readonly audience: Audience<StreamConnection>,
    private readonly limits: StreamLimits,
  ) {}

  /**
   * Returns the feeds that were seen to, and the milliseconds of processor time that it took. A feed that fails is
   * left to the next look at the database, and a reader that does is closed: neither is the others' loss.
   */
  async run(feeds: readonly TaskFeed[]): Promise<{ done: TaskFeed[]; worked: number }> {
    const clock = new WorkClock(this.limits.sliceMs);
    const done: TaskFeed[] = [];
    for (const feed of feeds) {
      try {
        if (feed.broken) this.scatter(feed);
        else if (feed.hasWaiting) await this.deliver(feed, clock);
        done.push(feed);
      } catch (error) {
        feed.broken ||= feed.isOffering; // what was taken is not there any more: each reads it for itself
        const text = 'live messages could not be passed on; the next look at the database repairs it';
        this.logger.error({ err: error, task_id: feed.task_id }, text);
      }
    }
    await this.flush(clock);
    return { done, worked: clock.total };
  }

  /**
   * Who subscribes meanwhile stands behind the batch already, and who was there is offered it once: `reach` has moved
   * before, `head` does afterwards.
   */
  private async deliver(feed: TaskFeed, clock: WorkClock): Promise<void> {
    const { frameMessages, frameSize } = this.limits;
    const connections = this.audience.of(feed); // before anything is taken
    let isLate = false;
    const batch = feed.take(frameMessages, frameSize);
    this.messages += batch.entries.length;
    this.size += batch.size;
    const isFull = this.messages > frameMessages || this.size > frameSize;
    // Transports pass on one frame at a time: they get a turn to do so, else their readers' buffers would fill.
    if (isFull && this.touched.length > 0) {
      await this.flush(clock);
      await clock.yield();
      isLate = true;
      this.messages = batch.entries.length;
      this.size = batch.size;
    }
    for (const [i, connection] of connections.entries()) {
      const { reader } = connection;
      this.guard(reader, () => {
        if (isLate && !connection.covers(feed)) return;
        reader.offer(feed, batch.filtered(connection.filterOf(feed)));
        this.touch(reader);
      });
      if (i % LOOK_AT_CLOCK !== 0 || !clock.isLong) continue;
      await clock.yield();
      isLate = true;
    }
    feed.offered();
  }

  /** What fails for one reader ends that one: it would miss what the others get. */
  private guard(reader: StreamReader, work: () => void): void {
    try {
      work();
    } catch (error) {
      reader.fail(error);
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
      const reader = readers[i]!;
      this.guard(reader, () => reader.flush());
      if (i % LOOK_AT_CLOCK === 0 && clock.isLong) await clock.yield();
    }
  }

  /** A gap can't be filled for all at once, because retention has removed it: each reader looks for itself. */
  private scatter(feed: TaskFeed): void {
    for (const { reader } of this.audience.of(feed)) this.guard(reader, () => reader.fallBack(feed));
    feed.leap();
  }
}
