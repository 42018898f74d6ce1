import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindBoardNamesQuery } from '../contracts/task.queries.js';
import type { TaskDB } from './task-db.js';

@QueryHandler(FindBoardNamesQuery)
export class FindBoardNamesHandler implements IQueryHandler<FindBoardNamesQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ ids }: FindBoardNamesQuery): Promise<{ id: string; name: string }[]> {
    const boards = this.transactions.kysely<TaskDB>().selectFrom('boards').select(['id', 'name']);
    return boards.where('id', '=', sql<string>`any(${ids}::uuid[])`).execute();
  }
}
