import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ENGINE_LABEL } from '../../../common/validation/host-label.js';
import { ListAgentNeedsQuery, type AgentNeeds } from '../contracts/agent.queries.js';
import type { AgentType } from '../domain/agent-type.entity.js';
import { engineLimits } from '../domain/resource-limits.js';
import type { AgentDB } from './agent-rows.js';

const NANO = 1e9;

@QueryHandler(ListAgentNeedsQuery)
export class ListAgentNeedsHandler implements IQueryHandler<ListAgentNeedsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute(): Promise<AgentNeeds[]> {
    const types = this.transactions.kysely<AgentDB>().selectFrom('agent_types');
    const rows = await types.select(['name', 'runtime', 'default_resources', 'host_labels']).execute();
    return rows.map(needsOf);
  }
}

/** What agents of the type take of their host, by its row. */
export function needsOf(type: Pick<AgentType, 'name' | 'runtime' | 'default_resources' | 'host_labels'>): AgentNeeds {
  const { memory_bytes = 0, nano_cpus = 0 } = engineLimits(type.default_resources);
  const host_labels = type.runtime === 'docker' ? [...type.host_labels, ENGINE_LABEL] : type.host_labels;
  return { agent_type: type.name, memory_bytes, cpus: nano_cpus / NANO, host_labels };
}
