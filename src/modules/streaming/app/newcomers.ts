import { Injectable, Logger } from '@nestjs/common';
import { SYSTEM } from '../../../common/auth/actor.js';
import type { TaskFeed } from '../domain/task-feed.js';
import type { StreamConnection } from './stream-connection.js';
import { StreamHub, type HubListener } from './stream-hub.js';
import { StreamSource } from './stream-source.js';
import { Subscriptions } from './subscriptions.js';

const REMEMBERED_BOARDS = 10_000; // a bound on memory; what is forgotten is looked up again

/** Lets tasks and boards that did not exist when somebody subscribed to their surroundings join by themselves. */
@Injectable()
export class Newcomers implements HubListener {
  private readonly logger = new Logger(Newcomers.name);
  private readonly boards = new Map<string, string>();
  private readonly lookups = new Map<string, { first: number; last: number }>();
  private readonly expansions = new Map<StreamConnection, Promise<void>>();

  constructor(
    private readonly hub: StreamHub,
    private readonly source: StreamSource,
    private readonly subscriptions: Subscriptions,
  ) {
    hub.listener = this;
  }

  onStranger(taskId: string, firstSeq: number, lastSeq: number): void {
    const board = this.boards.get(taskId);
    if (board !== undefined && !this.isWanted(board)) return;
    const lookup = this.lookups.get(taskId);
    if (lookup) {
      lookup.last = Math.max(lookup.last, lastSeq);
      return;
    }
    const started = { first: firstSeq, last: lastSeq };
    this.lookups.set(taskId, started);
    void this.adopt(taskId, started)
      .catch((error: unknown) => this.logger.warn({ err: error, task_id: taskId }, 'a task could not be looked up'))
      .finally(() => this.lookups.delete(taskId));
  }

  onUnknownBoard(connection: StreamConnection, feed: TaskFeed, firstSeq: number): void {
    void this.expand(connection, feed.board_id, feed.task_id, firstSeq);
  }

  /** Finds the tasks whose first hint was lost: those on followed boards that the hub has never heard of. */
  async discover(): Promise<void> {
    const { boards } = this.hub.audience;
    if (boards !== 'all' && boards.length === 0) return;
    const tasks = await this.source.visibleTasks(SYSTEM, boards === 'all' ? {} : { board_ids: boards });
    const unheard = tasks.filter(({ task_id }) => !this.hub.has(task_id));
    if (unheard.length === 0) return;
    const heads = await this.source.heads(unheard.map(({ task_id }) => task_id));
    for (const { task_id, head_seq } of heads) if (head_seq > 0) this.onStranger(task_id, 1, head_seq);
  }

  /**
   * Has every `of`-th of those who want all asked again about boards that they could not see: they may be members by
   * now, which another process has not told.
   */
  askAgain(turn: number, of: number): void {
    let i = 0;
    for (const connection of this.hub.audience.expanding) if (i++ % of === turn % of) connection.unhide();
  }

  private isWanted(boardId: string): boolean {
    if (this.hub.audience.coversBoard(boardId)) return true;
    for (const connection of this.hub.audience.expanding) if (connection.mightSee(boardId)) return true;
    return false;
  }

  private async adopt(taskId: string, seen: { first: number; last: number }): Promise<void> {
    const board = this.boards.get(taskId) ?? (await this.source.boardOf(taskId));
    if (board === undefined) return;
    this.remember(taskId, board);
    const asked = [...this.hub.audience.expanding].filter((connection) => connection.mightSee(board));
    await Promise.all(asked.map(async (connection) => this.expand(connection, board, taskId, seen.first)));
    if (!this.hub.audience.coversBoard(board)) return;
    this.hub.open({ task_id: taskId, board_id: board });
    this.hub.catchUpTo(taskId, seen.last);
  }

  private async expand(connection: StreamConnection, boardId: string, taskId: string, firstSeq: number): Promise<void> {
    const seq = Math.min(firstSeq - 1, connection.awaited.get(taskId)?.seq ?? firstSeq);
    connection.awaited.set(taskId, { board_id: boardId, seq });
    let running = this.expansions.get(connection);
    if (!running) {
      running = this.lookAround(connection);
      this.expansions.set(connection, running);
    }
    await running;
  }

  private async lookAround(connection: StreamConnection): Promise<void> {
    try {
      do await connection.requests.run(async () => this.subscriptions.expand(connection));
      while (connection.awaited.size > 0 && connection.wantsAll);
    } catch (error) {
      this.logger.warn({ err: error }, 'boards could not be looked up; the next message asks again');
    } finally {
      this.expansions.delete(connection);
    }
  }

  private remember(taskId: string, boardId: string): void {
    if (this.boards.size >= REMEMBERED_BOARDS) this.boards.clear();
    this.boards.set(taskId, boardId);
  }
}
