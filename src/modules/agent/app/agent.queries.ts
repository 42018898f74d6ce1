import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { Inject } from '@nestjs/common';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import {
  FindAttemptAgentQuery,
  FindLatestAgentQuery,
  GetProgressQuery,
  GetStartableAgentTypeQuery,
  type AgentProgress,
  type StartableAgentType,
} from '../contracts/agent.queries.js';
import type { AgentInstanceView } from '../contracts/agent.types.js';
import { needsOf } from './agent-needs.query.js';
import { type AgentDB, toView } from './agent-rows.js';

@QueryHandler(FindAttemptAgentQuery)
export class FindAttemptAgentHandler implements IQueryHandler<FindAttemptAgentQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ run_id, attempt }: FindAttemptAgentQuery): Promise<AgentInstanceView | null> {
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .selectAll()
      .where('run_id', '=', run_id)
      .where('attempt', '=', attempt)
      .executeTakeFirst();
    return row ? toView(row) : null;
  }
}

@QueryHandler(FindLatestAgentQuery)
export class FindLatestAgentHandler implements IQueryHandler<FindLatestAgentQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ task_id }: FindLatestAgentQuery): Promise<AgentInstanceView | null> {
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .selectAll()
      .where('task_id', '=', task_id)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row ? toView(row) : null;
  }
}

@QueryHandler(GetStartableAgentTypeQuery)
export class GetStartableAgentTypeHandler implements IQueryHandler<GetStartableAgentTypeQuery> {
  constructor(
    private readonly transactions: Transactions,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ name }: GetStartableAgentTypeQuery): Promise<StartableAgentType> {
    const type = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_types')
      .select(['name', 'runtime', 'protocol', 'enabled', 'retry_policy', 'default_resources', 'host_labels'])
      .where('name', '=', name)
      .executeTakeFirst();
    if (!type) throw notFound('agent type');
    if (!type.enabled)
      throw new DomainError(
        'conflict',
        'agent_type.disabled',
        `The agent type ${name} is disabled. Choose another one or ask an administrator.`,
      );
    if (type.runtime === 'process' && !this.config.agent.allow_process_runtime) {
      throw new DomainError(
        'conflict',
        'agent_type.process_runtime_off',
        'This server does not run agents without a container (KANDEV_ALLOW_PROCESS_RUNTIME).',
      );
    }
    return { ...type, needs: needsOf(type) };
  }
}

@QueryHandler(GetProgressQuery)
export class GetProgressHandler implements IQueryHandler<GetProgressQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ agent_id }: GetProgressQuery): Promise<AgentProgress | null> {
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select(['progress', 'operation', 'first_progress', 'paused_ms'])
      .select(
        sql<number | null>`case when paused_at is null then
        extract(epoch from now() - first_progress_at) * 1000 - (paused_ms - first_progress_paused_ms) end::float8`.as(
          'elapsed_ms',
        ),
      )
      .where('id', '=', agent_id)
      .executeTakeFirst();
    if (!row) return null;
    const { progress, operation, first_progress, elapsed_ms, paused_ms } = row;
    const isKnown = progress !== null && first_progress !== null && elapsed_ms !== null;
    const since_first = isKnown ? { gained: progress - first_progress, elapsed_ms: Math.max(0, elapsed_ms) } : null;
    return { progress, operation, since_first, paused_ms };
  }
}
