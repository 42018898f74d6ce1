import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindAttendedAttemptsQuery } from '../contracts/agent.queries.js';
import type { AgentStatus } from '../contracts/agent.types.js';
import type { AgentDB } from './agent-rows.js';
import { AttemptSupervisor } from './attempt-supervisor.js';

@QueryHandler(FindAttendedAttemptsQuery)
export class FindAttendedAttemptsHandler implements IQueryHandler<FindAttendedAttemptsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly supervisor: AttemptSupervisor,
  ) {}

  async execute({ attempts }: FindAttendedAttemptsQuery): Promise<{ run_id: string; status: AgentStatus }[]> {
    if (attempts.length === 0) return [];
    const ids = attempts.map(({ run_id }) => run_id);
    const rows = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select(['id', 'run_id', 'attempt', 'epoch', 'status'])
      .where('run_id', '=', sql<string>`any(${ids}::uuid[])`)
      .where('status', 'in', ['RUNNING', 'PAUSED'])
      .execute();
    const claimed = new Map(attempts.map((attempt) => [attempt.run_id, attempt]));
    return rows.filter(({ id, run_id, attempt, epoch }) => {
      const claim = claimed.get(run_id);
      return claim?.attempt === attempt && claim.epoch === epoch && this.supervisor.isSupervised(id);
    });
  }
}
