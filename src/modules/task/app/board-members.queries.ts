import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodePosition, encodePosition } from '../../../common/validation/cursor.js';
import { pageOf, type Page, type PageRequest } from '../../../common/validation/page.js';
import { FindUsersQuery } from '../../identity/contracts/user.queries.js';
import type { BoardRole } from '../domain/board.entity.js';
import { readableBoard } from './board-access.js';
import type { TaskDB } from './task-db.js';

/** A member of a board as the others see them. Times are RFC 3339. */
export interface BoardMemberRecord {
  user_id: string;
  username: string;
  role: BoardRole;
  created_at: string;
}

/** The members of a board, the oldest membership first. @throws DomainError `board.not_found`, `request.invalid` */
export class ListBoardMembersQuery extends Query<Page<BoardMemberRecord>> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly page: PageRequest,
  ) {
    super();
  }
}

type MemberRow = Selectable<TaskDB['board_members']>;
type Row = { total: number } & (MemberRow | { user_id: null });

@QueryHandler(ListBoardMembersQuery)
export class ListBoardMembersHandler implements IQueryHandler<ListBoardMembersQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, board_id, page }: ListBoardMembersQuery): Promise<Page<BoardMemberRecord>> {
    const after = page.cursor === null ? null : decodePosition(page.cursor);
    const rest = after ? sql`and (m.created_at, m.user_id) > (${after.created_at}, ${after.id})` : sql``;
    const { rows } = await sql<Row>`select c.total, m.* from ${readableBoard(actor, board_id)}
      left join lateral (select count(*) as total from board_members m where m.board_id = ${board_id}) c on true
      left join lateral (
        select m.* from board_members m where m.board_id = ${board_id} ${rest}
        order by m.created_at, m.user_id limit ${page.limit + 1} offset ${page.offset}
      ) m on true order by m.created_at, m.user_id`.execute(this.transactions.kysely<TaskDB>());
    if (!rows[0]) throw notFound('board');
    const members = rows.flatMap((row) => (row.user_id === null ? [] : [row]));
    const records = await withNames(this.queries, members);
    return pageOf(records, page, rows[0].total, ({ created_at, user_id }) =>
      encodePosition({ created_at, id: user_id }),
    );
  }
}

/** The records of membership rows. */
export async function withNames(queries: QueryBus, rows: readonly MemberRow[]): Promise<BoardMemberRecord[]> {
  const users = await queries.execute(new FindUsersQuery(rows.map(({ user_id }) => user_id)));
  const names = new Map(users.map(({ id, username }) => [id, username]));
  return rows.map(({ user_id, role, created_at }) => ({
    ...{ user_id, username: names.get(user_id) ?? '', role },
    created_at: toTimestamp(created_at),
  }));
}
