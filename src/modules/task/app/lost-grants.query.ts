import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindLostGrantsQuery, type LostGrant } from '../contracts/task.queries.js';
import type { TaskDB } from './task-db.js';

@QueryHandler(FindLostGrantsQuery)
export class FindLostGrantsHandler implements IQueryHandler<FindLostGrantsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ grants }: FindLostGrantsQuery): Promise<LostGrant[]> {
    if (grants.length === 0) return [];
    const { rows } = await sql<LostGrant>`
      select g.user_id, g.kind, g.id, coalesce(b.id, t.board_id) is null as deleted
      from unnest(
        ${grants.map(({ user_id }) => user_id)}::uuid[], ${grants.map(({ kind }) => kind)}::text[],
        ${grants.map(({ id }) => id)}::uuid[]
      ) as g (user_id, kind, id)
      left join boards b on g.kind = 'board' and b.id = g.id
      left join tasks t on g.kind = 'task' and t.id = g.id
      where coalesce(b.id, t.board_id) is null or (g.user_id is not null and not exists (
        select 1 from board_members m where m.board_id = coalesce(b.id, t.board_id) and m.user_id = g.user_id
      ))`.execute(this.transactions.kysely<TaskDB>());
    return rows;
  }
}
