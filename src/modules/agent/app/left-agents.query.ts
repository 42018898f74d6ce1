import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindLeftAgentsQuery, type LeftAgent } from '../contracts/agent.queries.js';
import type { AgentDB } from './agent-rows.js';

@QueryHandler(FindLeftAgentsQuery)
export class FindLeftAgentsHandler implements IQueryHandler<FindLeftAgentsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ task_ids }: FindLeftAgentsQuery): Promise<LeftAgent[]> {
    if (task_ids.length === 0) return [];
    const agents = this.transactions.kysely<AgentDB>().selectFrom('agent_instances');
    const rows = await agents
      .select(['id as agent_id', 'task_id', 'host_id'])
      .where('left_behind', '=', true)
      .where('task_id', '=', sql<string>`any(${task_ids}::uuid[])`)
      .orderBy('created_at')
      .execute();
    return rows.map(({ agent_id, task_id, host_id }) => ({ agent_id, task_id, host_id: host_id ?? null }));
  }
}
