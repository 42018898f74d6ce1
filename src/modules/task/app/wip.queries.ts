import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindWipBlocksQuery, FindWipRoomQuery, type WipBlock } from '../contracts/task.queries.js';
import type { TaskDB } from './task-db.js';
import { tasksIn } from './wip-columns.js';

const ROOM = sql`select l.board_id, l.state, l.max_tasks, ${tasksIn(sql`l.board_id`, 'IN_PROGRESS')} as tasks
  from board_wip_limits l where l.state = 'IN_PROGRESS'`;

@QueryHandler(FindWipBlocksQuery)
export class FindWipBlocksHandler implements IQueryHandler<FindWipBlocksQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ task_ids }: FindWipBlocksQuery): Promise<WipBlock[]> {
    // A finished task stays where it is, whatever is dispatched, and an archived one takes no place.
    const { rows } = await sql<WipBlock>`
      with asked as materialized (
        select id, board_id, dispatched_run_id from tasks
        where id = any(${task_ids}::uuid[]) and state in ('TODO', 'BLOCKED') and archived_at is null
      ), room as materialized (${ROOM} and l.board_id in (select board_id from asked))
      select a.id as task_id, a.board_id, r.state, r.max_tasks, r.tasks, a.dispatched_run_id as last_run_id
      from asked a join room r on r.board_id = a.board_id
      order by a.id`.execute(this.transactions.kysely<TaskDB>());
    return rows;
  }
}

@QueryHandler(FindWipRoomQuery)
export class FindWipRoomHandler implements IQueryHandler<FindWipRoomQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ board_ids }: FindWipRoomQuery): Promise<{ board_id: string; max_tasks: number; tasks: number }[]> {
    const { rows } = await sql<{ board_id: string; max_tasks: number; tasks: number }>`
      select board_id, max_tasks, tasks from (${ROOM} and l.board_id = any(${board_ids}::uuid[])) room
      order by board_id`.execute(this.transactions.kysely<TaskDB>());
    return rows;
  }
}
