import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { SYSTEM, type Actor } from '../../../common/auth/actor.js';
import type { Query } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Gate } from '../../../common/ops/gate.js';
import {
  GetStreamHeadsQuery,
  ReadMessagesQuery,
  type MessageFilter,
  type MessagePage,
} from '../../agent/contracts/agent.queries.js';
import {
  AuthorizeBoardQuery,
  FindVisibleTasksQuery,
  ListVisibleBoardsQuery,
} from '../../task/contracts/task.queries.js';
import { Permits } from './permits.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';

export interface VisibleTask {
  task_id: string;
  board_id: string;
}

/** First and last kept `seq` of a stream; `head_seq` 0 where nothing was written yet. */
export interface StreamHead {
  task_id: string;
  head_seq: number;
  first_seq: number;
}

const IDS_PER_QUERY = 5_000; // keeps a query's parameters small when somebody follows everything

/** What streaming asks of other modules, all through one gate, so that a crowd of readers can't drain the database. */
@Injectable()
export class StreamSource {
  private readonly gate: Gate;
  /** Pages that may be read before their readers have room for them. */
  readonly ahead: Permits;

  constructor(
    private readonly queries: QueryBus,
    @Inject(STREAM_LIMITS) limits: StreamLimits,
  ) {
    this.gate = new Gate(limits.concurrentReads);
    this.ahead = new Permits(limits.pagesAhead);
  }

  /** Messages after `afterSeq` that pass the filter, in order, at most `limit`, and how far was looked for them. */
  async read(taskId: string, afterSeq: number, limit: number, filter: MessageFilter | null): Promise<MessagePage> {
    return this.ask(new ReadMessagesQuery(taskId, afterSeq, limit, filter));
  }

  async heads(taskIds: readonly string[]): Promise<StreamHead[]> {
    const heads: StreamHead[] = [];
    for (let i = 0; i < taskIds.length; i += IDS_PER_QUERY) {
      heads.push(...(await this.ask(new GetStreamHeadsQuery(taskIds.slice(i, i + IDS_PER_QUERY)))));
    }
    return heads;
  }

  /** Those of the tasks that the actor may read, with their boards. An empty filter means all of them. */
  async visibleTasks(actor: Actor, filter: { task_ids?: string[]; board_ids?: string[] }): Promise<VisibleTask[]> {
    return this.ask(new FindVisibleTasksQuery(actor, filter));
  }

  async visibleBoards(actor: Actor): Promise<string[] | 'all'> {
    return this.ask(new ListVisibleBoardsQuery(actor));
  }

  /** Those of the boards that exist and that the actor may read. */
  async readableBoards(actor: Actor, boardIds: readonly string[]): Promise<string[]> {
    if (boardIds.length === 0) return [];
    const visible = await this.visibleBoards(actor);
    if (visible !== 'all') {
      const mine = new Set(visible);
      return boardIds.filter((id) => mine.has(id));
    }
    const found = await Promise.all(boardIds.map(async (id) => ((await this.boardExists(actor, id)) ? [id] : [])));
    return found.flat();
  }

  /** The board of a task, or undefined if there is no such task (any more). */
  async boardOf(taskId: string): Promise<string | undefined> {
    return (await this.visibleTasks(SYSTEM, { task_ids: [taskId] }))[0]?.board_id;
  }

  private async boardExists(actor: Actor, boardId: string): Promise<boolean> {
    try {
      await this.ask(new AuthorizeBoardQuery(actor, boardId, 'read'));
      return true;
    } catch (error) {
      if (error instanceof DomainError && (error.kind === 'not_found' || error.kind === 'forbidden')) return false;
      throw error;
    }
  }

  private async ask<R>(query: Query<R>): Promise<R> {
    return this.gate.run(() => this.queries.execute(query));
  }
}
