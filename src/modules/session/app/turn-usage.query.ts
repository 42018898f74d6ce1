import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ListTurnUsageQuery, type UsageOfTurn } from '../contracts/usage.queries.js';
import type { SessionDB } from './session-rows.js';

@QueryHandler(ListTurnUsageQuery)
export class ListTurnUsageHandler implements IQueryHandler<ListTurnUsageQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ of: { boards, task_id, from, to }, limit }: ListTurnUsageQuery): Promise<UsageOfTurn[]> {
    let turns = this.transactions.kysely<SessionDB>().selectFrom('prompts');
    if (boards !== 'all') turns = turns.where(sql<boolean>`board_id = any(${boards}::uuid[])`);
    if (task_id !== null) turns = turns.where('task_id', '=', task_id);
    return turns
      .select([
        ...(['id as subject', 'board_id', 'task_id'] as const),
        ...[sql<number>`coalesce(tokens_in, 0)`.as('tokens_in'), sql<number>`coalesce(tokens_out, 0)`.as('tokens_out')],
        sql<number>`coalesce(cost_usd, 0)`.as('cost_usd'),
      ])
      .where('agent_id', 'is not', null)
      .where('sent_at', '>=', sql<Date>`${from}::date::timestamp at time zone 'UTC'`)
      .where('sent_at', '<', sql<Date>`(${to}::date + 1)::timestamp at time zone 'UTC'`)
      .orderBy('cost_usd', (by) => by.desc().nullsLast())
      .orderBy(sql`coalesce(tokens_in, 0) + coalesce(tokens_out, 0)`, 'desc')
      .orderBy('id')
      .limit(limit)
      .execute();
  }
}
