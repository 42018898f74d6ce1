import { Inject, Injectable, Logger } from '@nestjs/common';
import type { StoredMessage } from '../../../common/acp/stored-message.js';
import { consecutiveEntries } from '../domain/stream-entry.js';
import { TaskFeed } from '../domain/task-feed.js';
import { Audience } from './audience.js';
import type { StreamConnection } from './stream-connection.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamSource, type VisibleTask } from './stream-source.js';

/** Told about hints that the hub can't place by itself. */
export interface HubListener {
  /** Somebody may want a task that has no feed yet. */
  onStranger(taskId: string, firstSeq: number, lastSeq: number): void;
  /** The connection may want a board that it was never asked about. */
  onUnknownBoard(connection: StreamConnection, feed: TaskFeed, firstSeq: number): void;
}

/** Feeds that stay until {@link release}. */
export interface FeedLease {
  readonly feeds: readonly TaskFeed[];
  release(): void;
}

/**
 * Turns hints into live messages: one feed per task that somebody follows. A hint that continues at the feed's head
 * goes to every live reader as it is; one that leaves a gap makes the hub read the gap once, for all of them.
 */
@Injectable()
export class StreamHub {
  readonly audience = new Audience<StreamConnection>();
  listener: HubListener | undefined;
  private readonly logger = new Logger(StreamHub.name);
  private readonly feeds = new Map<string, TaskFeed>();

  constructor(
    private readonly source: StreamSource,
    @Inject(STREAM_LIMITS) private readonly limits: StreamLimits,
  ) {}

  /** Takes a hint: consecutive messages that are committed. Late, repeated and overlapping ones do no harm. */
  appended(taskId: string, messages: readonly StoredMessage[]): void {
    const first = messages[0]?.seq;
    const last = messages.at(-1)?.seq;
    if (first === undefined || last === undefined) return;
    const feed = this.feeds.get(taskId);
    if (!feed) {
      if (this.audience.wide) this.listener?.onStranger(taskId, first, last);
      return;
    }
    feed.note(last);
    if (!feed.loaded) return;
    for (const connection of this.audience.expanding) {
      if (connection.mightSee(feed.board_id)) this.listener?.onUnknownBoard(connection, feed, first);
    }
    if (last <= feed.head) return;
    if (first <= feed.head + 1 && last - first + 1 === messages.length) this.deliver(feed, messages);
    else void this.fill(feed);
  }

  /**
   * The feed of the task; a new one if there is none. Whoever has subscribed to the task's board did so before the
   * task was there, else it would have a feed: such a feed starts at its first message.
   */
  open({ task_id, board_id }: VisibleTask): TaskFeed {
    const known = this.feeds.get(task_id);
    if (known) return known;
    const feed = new TaskFeed(task_id, board_id);
    if (this.audience.coversBoard(board_id)) feed.load(0);
    this.feeds.set(task_id, feed);
    return feed;
  }

  /** Opens the feeds and learns their heads from the database. Hints that come meanwhile are not missed. */
  async acquire(tasks: readonly VisibleTask[]): Promise<FeedLease> {
    const feeds = tasks.map((task) => this.open(task));
    for (const feed of feeds) feed.pins++;
    const release = (): void => {
      for (const feed of feeds) {
        if (--feed.pins === 0 && !feed.loaded) this.feeds.delete(feed.task_id);
      }
    };
    try {
      const heads = await this.source.heads(feeds.map((feed) => feed.task_id));
      for (const { task_id, head_seq } of heads) this.feeds.get(task_id)?.note(head_seq);
    } catch (error) {
      release();
      throw error;
    }
    for (const feed of feeds) {
      if (!feed.loaded) feed.load(this.audience.coversBoard(feed.board_id) ? 0 : feed.known);
    }
    return { feeds, release };
  }

  loadedFeeds(): TaskFeed[] {
    return [...this.feeds.values()].filter((feed) => feed.loaded);
  }

  has(taskId: string): boolean {
    return this.feeds.has(taskId);
  }

  /** Takes what a look at the database says, and reads whatever live readers lack of it. */
  catchUpTo(taskId: string, headSeq: number): void {
    const feed = this.feeds.get(taskId);
    if (!feed?.loaded) return;
    feed.note(headSeq);
    void this.fill(feed);
  }

  /** Forgets the feeds that nobody follows any more; returns the tasks of the others. */
  sweep(): string[] {
    for (const [taskId, feed] of this.feeds) {
      if (feed.pins === 0 && !this.audience.covers(feed)) this.feeds.delete(taskId);
    }
    return [...this.feeds.keys()];
  }

  private deliver(feed: TaskFeed, messages: readonly StoredMessage[]): void {
    const fresh = messages.filter(({ seq }) => seq > feed.head);
    const entries = this.audience.covers(feed) ? consecutiveEntries(fresh) : [];
    for (const { reader } of this.audience.of(feed)) reader.offer(feed, entries);
    feed.head = (entries.at(-1) ?? fresh.at(-1))?.seq ?? feed.head;
    feed.note(feed.head);
  }

  /** Reads what is known to be stored and was never offered, once for all live readers. */
  private async fill(feed: TaskFeed): Promise<void> {
    if (feed.filling) return;
    feed.filling = true;
    try {
      while (feed.head < feed.known) {
        const live = [...this.audience.of(feed)].filter(({ reader }) => reader.isLive(feed.task_id));
        const page = live.length > 0 ? await this.source.read(feed.task_id, feed.head, this.limits.maxPage) : [];
        const first = page[0]?.seq;
        if (first !== undefined && first <= feed.head + 1) this.deliver(feed, page);
        else if (feed.head < feed.known) this.scatter(feed);
      }
    } catch (error) {
      this.logger.warn({ err: error, task_id: feed.task_id }, 'a gap in a stream could not be read; trying again');
    } finally {
      feed.filling = false;
    }
  }

  /** The gap can't be filled for all at once, because retention has removed it: each reader looks for itself. */
  private scatter(feed: TaskFeed): void {
    for (const { reader } of this.audience.of(feed)) reader.fallBack(feed);
    feed.head = feed.known;
  }
}
