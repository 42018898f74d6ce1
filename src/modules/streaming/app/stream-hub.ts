import { Inject, Injectable } from '@nestjs/common';
import type { StoredMessage } from '../../../common/acp/stored-message.js';
import { TaskFeed } from '../domain/task-feed.js';
import { Audience } from './audience.js';
import { Deliveries } from './deliveries.js';
import { DeliveryRounds } from './delivery-rounds.js';
import { GapReader } from './gap-reader.js';
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
 * Turns hints into live messages: one feed per task that somebody follows. A hint that continues where the feed ends
 * waits for the next round, which offers it to every live reader; one that leaves a gap makes the hub read the gap
 * once, for all of them.
 */
@Injectable()
export class StreamHub {
  readonly audience = new Audience<StreamConnection>();
  listener: HubListener | undefined;
  private readonly feeds = new Map<string, TaskFeed>();
  private readonly rounds: DeliveryRounds;
  private readonly gaps: GapReader;

  constructor(
    private readonly source: StreamSource,
    @Inject(STREAM_LIMITS) private readonly limits: StreamLimits,
  ) {
    const deliveries = new Deliveries(this.audience, limits);
    this.rounds = new DeliveryRounds(async (asked) => {
      // Not those that were forgotten meanwhile: the task may have another feed by now.
      const feeds = asked.filter((feed) => this.feeds.get(feed.task_id) === feed);
      const { done, worked } = await deliveries.run(feeds);
      for (const feed of done) this.goOn(feed);
      return worked;
    }, limits);
    this.gaps = new GapReader(this.audience, source, limits, (feed) => this.rounds.request(feed));
  }

  /** Takes a hint: consecutive messages that are committed. Late, repeated and overlapping ones do no harm. */
  appended(taskId: string, messages: readonly StoredMessage[]): void {
    const first = messages[0]?.seq;
    const last = messages.at(-1)?.seq;
    if (first === undefined || last === undefined) return;
    const feed = this.noted(taskId, first, last);
    if (!feed || last <= feed.end) return;
    if (feed.accept(messages, this.limits)) this.rounds.request(feed);
    else if (!feed.refused) void this.gaps.fill(feed);
  }

  /** The same of messages that another process has committed: they are read. */
  told(taskId: string, first: number, last: number): void {
    const feed = this.noted(taskId, first, last);
    if (feed && last > feed.end) void this.gaps.fill(feed);
  }

  /**
   * The feed of the task; a new one if there is none. Whoever has subscribed to the task's board did so before the
   * task was there, else it would have a feed: such a feed starts at its first message.
   */
  open({ task_id, board_id }: VisibleTask): TaskFeed {
    const known = this.feeds.get(task_id);
    if (known) return known;
    const feed = new TaskFeed(task_id, board_id, (its, first) => this.lookAround(its, first));
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

  /**
   * Takes what a look at the database says, and reads whatever live readers lack of it. What a round has left behind
   * because it failed gets another. Says whether it was news: no hint had told of it.
   */
  catchUpTo(taskId: string, headSeq: number): boolean {
    const feed = this.feeds.get(taskId);
    if (!feed?.loaded) return false;
    const isNews = headSeq > feed.known;
    feed.note(headSeq);
    if (feed.hasWaiting || feed.broken || feed.refused) this.rounds.request(feed);
    feed.refused = false;
    void this.gaps.fill(feed);
    return isNews;
  }

  /** Forgets the feeds that nobody follows any more; returns the tasks of the others. */
  sweep(): string[] {
    for (const [taskId, feed] of this.feeds) {
      if (feed.pins === 0 && !feed.isOffering && !this.audience.covers(feed)) this.feeds.delete(taskId);
    }
    return [...this.feeds.keys()];
  }

  /** The feed that takes messages now, once those who may want them are found. */
  private noted(taskId: string, first: number, last: number): TaskFeed | undefined {
    const feed = this.feeds.get(taskId);
    if (!feed) {
      if (this.audience.wide) this.listener?.onStranger(taskId, first, last);
      return undefined;
    }
    feed.note(last);
    // What a feed begins with nobody was asked about: the hint of it may be the first word of a board's next message.
    if (first <= feed.start || !feed.loaded) this.lookAround(feed, first);
    return feed.loaded ? feed : undefined;
  }

  /**
   * Asks those who want all that they may see whether they may see the board; most times there is nobody to ask. Only
   * of what was not known here: a hint may come so late that somebody has become a member since, and what it tells of
   * was before.
   */
  private lookAround(feed: TaskFeed, firstSeq: number): void {
    if (this.audience.isSettled(feed.board_id)) return;
    let isSettled = true;
    for (const connection of this.audience.expanding) {
      if (!connection.mightSee(feed.board_id)) continue;
      isSettled = false;
      this.listener?.onUnknownBoard(connection, feed, firstSeq);
    }
    if (isSettled) this.audience.settle(feed.board_id);
  }

  /** After a round: what is left over, and what was not taken because too much was waiting. */
  private goOn(feed: TaskFeed): void {
    if (feed.hasWaiting) this.rounds.request(feed);
    if (!feed.refused) return;
    feed.refused = false;
    void this.gaps.fill(feed);
  }
}
