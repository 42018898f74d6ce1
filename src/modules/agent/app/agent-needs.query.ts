import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ENGINE_LABEL } from '../../../common/validation/host-label.js';
import { ListAgentNeedsQuery, type AgentNeeds } from '../contracts/agent.queries.js';
import { engineLimits } from '../domain/resource-limits.js';
import type { AgentDB } from './agent-rows.js';

const NANO = 1e9;

@QueryHandler(ListAgentNeedsQuery)
export class ListAgentNeedsHandler implements IQueryHandler<ListAgentNeedsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute(): Promise<AgentNeeds[]> {
    const types = this.transactions.kysely<AgentDB>().selectFrom('agent_types');
    const rows = await types.select(['name', 'runtime', 'default_resources', 'host_labels']).execute();
    return rows.map(({ name, runtime, default_resources, host_labels: asked }) => {
      const { memory_bytes = 0, nano_cpus = 0 } = engineLimits(default_resources);
      const host_labels = runtime === 'docker' ? [...asked, ENGINE_LABEL] : asked;
      return { agent_type: name, memory_bytes, cpus: nano_cpus / NANO, host_labels };
    });
  }
}
