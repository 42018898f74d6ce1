import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { CompiledQuery } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindHeldTasksQuery } from '../contracts/task.queries.js';

/** A finished task stays where it is, whatever is dispatched, and an archived one takes no place. */
const HELD = `
  select t.id from tasks t where t.id = any($1::uuid[]) and (
    exists (
      select from task_dependencies d join tasks o on o.id = d.depends_on_id
      where d.task_id = t.id and o.state != 'COMPLETED'
    ) or t.state in ('TODO', 'BLOCKED') and t.archived_at is null and exists (
      select from board_wip_limits l where l.board_id = t.board_id and l.state = 'IN_PROGRESS'
    )
  )`;

@QueryHandler(FindHeldTasksQuery)
export class FindHeldTasksHandler implements IQueryHandler<FindHeldTasksQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ task_ids }: FindHeldTasksQuery): Promise<string[]> {
    const held = await this.transactions.prepared<{ id: string }>(CompiledQuery.raw(HELD, [task_ids]));
    return held.map(({ id }) => id);
  }
}
