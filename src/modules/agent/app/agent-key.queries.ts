import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { ResolveAgentQuery } from '../../../common/auth/principal.queries.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetAgentTaskQuery } from '../contracts/agent.queries.js';
import { isLiveAgent } from '../domain/agent-state.js';
import type { AgentDB } from './agent-rows.js';

/** An agent's key lives as long as its attempt. */
@QueryHandler(ResolveAgentQuery)
export class ResolveAgentHandler implements IQueryHandler<ResolveAgentQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ agent_id }: ResolveAgentQuery): Promise<{ live: boolean }> {
    const instances = this.transactions.kysely<AgentDB>().selectFrom('agent_instances');
    const row = await instances.select('status').where('id', '=', agent_id).executeTakeFirst();
    return { live: row !== undefined && isLiveAgent(row.status) };
  }
}

@QueryHandler(GetAgentTaskQuery)
export class GetAgentTaskHandler implements IQueryHandler<GetAgentTaskQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ agent_id }: GetAgentTaskQuery): Promise<{ task_id: string } | null> {
    const instances = this.transactions.kysely<AgentDB>().selectFrom('agent_instances');
    return (await instances.select('task_id').where('id', '=', agent_id).executeTakeFirst()) ?? null;
  }
}
