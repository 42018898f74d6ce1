import { Inject, Injectable } from '@nestjs/common';
import type { LogLevel, MessageType } from '../../../common/acp/acp-message.js';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { filterOf, type MessageFilter } from '../domain/message-filter.js';
import type { TaskFeed } from '../domain/task-feed.js';
import type { StreamConnection } from './stream-connection.js';
import { StreamHub } from './stream-hub.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamSource, type VisibleTask } from './stream-source.js';

/** Tasks and boards by id, in lower case. Neither list: all that the actor may see. */
export interface SubscribeRequest {
  task_ids?: string[];
  board_ids?: string[];
  /** What is wanted of what is named here, instead of what was wanted of it before. Absent: everything. */
  types?: readonly MessageType[];
  min_level?: LogLevel;
  /** Per task the last `seq` the client has; 0 for everything. Tasks without one start at the present. */
  after?: Record<string, number>;
}

export type UnsubscribeRequest = Pick<SubscribeRequest, 'task_ids' | 'board_ids'>;

export interface SubscribeReceipt {
  /** The tasks followed, with the last `seq` stored when the subscription began. */
  subscribed: { task_id: string; head_seq: number }[];
  /** Named tasks and boards that are unknown, or not the actor's to see. */
  denied: string[];
}

/** Begins and ends subscriptions, as far as the actor may read; called by way of the connection's request queue. */
@Injectable()
export class Subscriptions {
  constructor(
    private readonly hub: StreamHub,
    private readonly source: StreamSource,
    @Inject(STREAM_LIMITS) private readonly limits: StreamLimits,
  ) {}

  /**
   * Adds to what the connection follows. A task that it follows already goes on where it is, unless `after` names
   * it. With `instead`, "all that the actor may see" ends once the new subscription has begun.
   * @throws DomainError `stream.too_many_subscriptions`
   */
  async subscribe(connection: StreamConnection, request: SubscribeRequest, instead = false): Promise<SubscribeReceipt> {
    const receipt = await this.begin(connection, request);
    if (instead && !isForAll(request)) connection.uncoverVisible();
    return receipt;
  }

  /** Ends what is named; without any names, everything. Nothing more of it is sent from now on. */
  unsubscribe(connection: StreamConnection, { task_ids, board_ids }: UnsubscribeRequest): void {
    if (!task_ids && !board_ids) connection.uncoverAll();
    else connection.uncover({ tasks: task_ids ?? [], boards: board_ids ?? [] });
  }

  /** Looks whether somebody who wants all may see the boards of the tasks that `connection.awaited` names. */
  async expand(connection: StreamConnection): Promise<void> {
    const asked = [...connection.awaited];
    const { moment } = connection.hidden;
    const visible = await this.source.visibleBoards(connection.actor);
    const fresh = visible === 'all' ? [] : visible.filter((id) => !connection.coversBoard(id));
    if (fresh.length > 0) {
      const lease = await this.hub.acquire(await this.source.visibleTasks(connection.actor, { board_ids: fresh }));
      try {
        const after = Object.fromEntries([...connection.awaited].map(([taskId, { seq }]) => [taskId, seq]));
        const joining = lease.feeds.filter((feed) => !connection.covers(feed));
        if (connection.wantsAll) this.start(connection, joining, { visible: fresh }, after, connection.filterOfRest);
      } finally {
        lease.release();
      }
    }
    for (const [taskId, { board_id }] of asked) {
      const isHidden = !connection.coversBoard(board_id);
      // What was looked up is of before: asked again, lest what came since the change be missed.
      if (isHidden && connection.hidden.moment !== moment) continue;
      connection.awaited.delete(taskId);
      if (isHidden) connection.hidden.add(board_id, moment);
    }
  }

  private async begin(connection: StreamConnection, request: SubscribeRequest): Promise<SubscribeReceipt> {
    const release = connection.claim((request.task_ids?.length ?? 0) + (request.board_ids?.length ?? 0));
    try {
      return await this.beginClaimed(connection, request);
    } finally {
      release();
    }
  }

  private async beginClaimed(connection: StreamConnection, request: SubscribeRequest): Promise<SubscribeReceipt> {
    const { task_ids = [], board_ids = [], after = {} } = request;
    if (connection.named + task_ids.length + board_ids.length > this.limits.subscriptions) {
      const text = `One connection may name at most ${this.limits.subscriptions} tasks and boards.`;
      throw new DomainError('invalid', 'stream.too_many_subscriptions', text);
    }
    const { actor } = connection;
    const visible = isForAll(request) ? await this.source.visibleBoards(actor) : undefined;
    const boards = await this.source.readableBoards(actor, board_ids);
    const named = task_ids.length > 0 ? await this.source.visibleTasks(actor, { task_ids }) : [];
    const onBoards = await this.tasksOn(actor, boards, visible);
    const tasks = new Map([...named, ...onBoards].map((task) => [task.task_id, task]));

    const lease = await this.hub.acquire([...tasks.values()]);
    try {
      if (connection.closed) throw new DomainError('unavailable', 'stream.closed', 'The connection has ended.');
      const coverage = { tasks: named.map(({ task_id }) => task_id), boards, visible };
      const subscribed = this.start(connection, lease.feeds, coverage, after, filterOf(request));
      const allowed = new Set([...coverage.tasks, ...boards]);
      return { subscribed, denied: [...new Set([...task_ids, ...board_ids])].filter((id) => !allowed.has(id)) };
    } finally {
      lease.release();
    }
  }

  private async tasksOn(actor: Actor, boards: string[], visible: string[] | 'all' = []): Promise<VisibleTask[]> {
    if (visible === 'all') return this.source.visibleTasks(actor, {});
    const board_ids = [...boards, ...visible];
    return board_ids.length > 0 ? this.source.visibleTasks(actor, { board_ids }) : [];
  }

  /**
   * In one tick, so that no hint can come between the heads and the subscription. A task of a covered board is either
   * among those returned or has no message yet that was known here; such a one will start at its first.
   */
  private start(
    connection: StreamConnection,
    feeds: readonly TaskFeed[],
    coverage: { tasks?: string[]; boards?: string[]; visible?: string[] | 'all' },
    after: Record<string, number>,
    filter: MessageFilter | null,
  ): SubscribeReceipt['subscribed'] {
    const isWide = coverage.visible !== undefined || (coverage.boards ?? []).length > 0;
    const others = isWide ? this.hub.loadedFeeds().filter((feed) => !connection.covers(feed)) : [];
    const joining = new Set(feeds.filter((feed) => !connection.covers(feed)));
    connection.cover({ tasks: [], boards: [], ...coverage }, filter);
    for (const feed of others) if (connection.covers(feed)) joining.add(feed);
    return [...new Set([...feeds, ...joining])].map((feed) => {
      const seq = after[feed.task_id];
      if (seq !== undefined) connection.reader.restart(feed, seq);
      else if (joining.has(feed)) connection.reader.follow(feed);
      return { task_id: feed.task_id, head_seq: feed.known };
    });
  }
}

function isForAll({ task_ids, board_ids }: UnsubscribeRequest): boolean {
  return !task_ids && !board_ids;
}
