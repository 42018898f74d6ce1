import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Kysely } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodePosition } from '../../../common/validation/cursor.js';
import { newestFirst, type Page, type PageRequest } from '../../../common/validation/page.js';
import { AuthorizeBoardQuery, ListVisibleBoardsQuery } from '../contracts/task.queries.js';
import { TASK_STATES, WIP_STATES, type TaskState, type WipState } from '../contracts/task.types.js';
import type { BoardRole } from '../domain/board.entity.js';
import { seesEverything } from '../domain/board-permission.js';
import { authorizeBoard, readableBoard, visibleBoards } from './board-access.js';
import { toBoardRecord, type BoardRecord, type BoardRow } from './records.js';
import type { TaskDB } from './task-db.js';

/** How many tasks a board has in each state, the archived ones left out. */
export type TaskCounts = Record<TaskState, number>;

/** How many tasks may be in each column that can be limited; null where any number may. */
export type WipLimits = Record<WipState, number | null>;

/** A board with what somebody who opens it wants to know. `role` is the actor's; null for an admin who is no member. */
export interface BoardDetails extends BoardRecord {
  role: BoardRole | null;
  task_counts: TaskCounts;
  wip_limits: WipLimits;
}

const NO_TASKS = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as TaskCounts;
const NO_LIMITS = Object.fromEntries(WIP_STATES.map((state) => [state, null])) as Record<WipState, null>;

/** A board that the actor may read. @throws DomainError `board.not_found` */
export class GetBoardQuery extends Query<BoardDetails> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
  ) {
    super();
  }
}

/** The boards that the actor may read, newest first. */
export class ListBoardsQuery extends Query<Page<BoardRecord>> {
  constructor(
    readonly actor: Actor,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(GetBoardQuery)
export class GetBoardHandler implements IQueryHandler<GetBoardQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, board_id }: GetBoardQuery): Promise<BoardDetails> {
    return boardDetails(this.transactions.kysely<TaskDB>(), actor, board_id);
  }
}

/** The board as the actor sees it, in one statement. @throws DomainError `board.not_found` */
export async function boardDetails(db: Kysely<TaskDB>, actor: Actor, board_id: string): Promise<BoardDetails> {
  const { rows } = await sql<
    BoardRow & { role: BoardRole | null; counts: Partial<TaskCounts> | null; limits: Partial<WipLimits> | null }
  >`
    select b.*, (
      select jsonb_object_agg(s.state, s.n) from (
        select c.state, sum(c.n) as n from task_counts c where c.board_id = ${board_id} and not c.archived group by 1
      ) s
    ) as counts, (
      select jsonb_object_agg(l.state, l.max_tasks) from board_wip_limits l where l.board_id = ${board_id}
    ) as limits from ${readableBoard(actor, board_id)}`.execute(db);
  const [row] = rows;
  if (!row) throw notFound('board');
  const task_counts = { ...NO_TASKS, ...row.counts };
  return { ...toBoardRecord(row), role: row.role, task_counts, wip_limits: { ...NO_LIMITS, ...row.limits } };
}

@QueryHandler(ListBoardsQuery)
export class ListBoardsHandler implements IQueryHandler<ListBoardsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, page }: ListBoardsQuery): Promise<Page<BoardRecord>> {
    const boards = visibleBoards(this.transactions.kysely<TaskDB>(), actor);
    const after = page.cursor === null ? null : decodePosition(page.cursor);
    const [rows, { total }] = await Promise.all([
      boards
        .selectAll('b')
        .$if(after !== null, (query) =>
          query.where(sql<boolean>`(b.created_at, b.id) < (${after?.created_at}, ${after?.id})`),
        )
        .orderBy('b.created_at', 'desc')
        .orderBy('b.id', 'desc')
        .offset(page.offset)
        .limit(page.limit + 1)
        .execute(),
      boards.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow(),
    ]);
    return newestFirst(rows.map(toBoardRecord), page, total);
  }
}

@QueryHandler(AuthorizeBoardQuery)
export class AuthorizeBoardHandler implements IQueryHandler<AuthorizeBoardQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, board_id, permission }: AuthorizeBoardQuery): Promise<{ board_id: string }> {
    await authorizeBoard(this.transactions.kysely<TaskDB>(), actor, board_id, permission);
    return { board_id };
  }
}

@QueryHandler(ListVisibleBoardsQuery)
export class ListVisibleBoardsHandler implements IQueryHandler<ListVisibleBoardsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, permission }: ListVisibleBoardsQuery): Promise<string[] | 'all'> {
    if (seesEverything(actor)) return 'all';
    const rows = await visibleBoards(this.transactions.kysely<TaskDB>(), actor, permission).select('b.id').execute();
    return rows.map(({ id }) => id);
  }
}
