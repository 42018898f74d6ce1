import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { Inject } from '@nestjs/common';
import { sql } from 'kysely';
import { wireJson, type StoredMessage } from '../../../common/acp/stored-message.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import {
  FindAttemptAgentQuery,
  FindLatestAgentQuery,
  GetProgressQuery,
  GetStartableAgentTypeQuery,
  GetStreamHeadsQuery,
  ReadMessagesQuery,
} from '../contracts/agent.queries.js';
import type { AgentInstanceView, Protocol, Runtime } from '../contracts/agent.types.js';
import { type AgentDB, toView } from './agent-rows.js';
import { SERVER_SOURCE } from './journal-messages.js';
import type { StreamDB } from './message-log.js';

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

  async execute({ name }: GetStartableAgentTypeQuery): Promise<{ name: string; runtime: Runtime; protocol: Protocol }> {
    const type = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_types')
      .select(['name', 'runtime', 'protocol', 'enabled'])
      .where('name', '=', name)
      .executeTakeFirst();
    if (!type) throw notFound('agent type');
    if (!type.enabled)
      throw new DomainError(
        'conflict',
        'agent_type.disabled',
        `The agent type ${name} is disabled. Choose another one or ask an administrator.`,
      );
    if (type.protocol !== 'json-lines') {
      throw new DomainError(
        'unsupported',
        'agent_type.unsupported_protocol',
        `The agent type ${name} speaks ${type.protocol}, which this server does not speak yet.`,
      );
    }
    if (type.runtime === 'process' && !this.config.agent.allow_process_runtime) {
      throw new DomainError(
        'conflict',
        'agent_type.process_runtime_off',
        'This server does not run agents without a container (KANDEV_ALLOW_PROCESS_RUNTIME).',
      );
    }
    return type;
  }
}

@QueryHandler(ReadMessagesQuery)
export class ReadMessagesHandler implements IQueryHandler<ReadMessagesQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ task_id, after_seq, limit }: ReadMessagesQuery): Promise<StoredMessage[]> {
    const rows = await this.transactions
      .kysely<StreamDB>()
      .selectFrom('acp_messages')
      .select(['seq', 'run_id', 'agent_id', 'type', 'level', 'timestamp', sql<string>`data::text`.as('data')])
      .where('task_id', '=', task_id)
      .where('seq', '>', after_seq)
      .orderBy('seq')
      .limit(limit)
      .execute();
    return rows.map(({ seq, type, level, data, timestamp, agent_id, run_id }) => {
      const envelope = { type, timestamp: toTimestamp(timestamp), agent_id, task_id, run_id, seq };
      return { seq, type, level, json: wireJson(envelope, data) };
    });
  }
}

@QueryHandler(GetStreamHeadsQuery)
export class GetStreamHeadsHandler implements IQueryHandler<GetStreamHeadsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({
    task_ids,
  }: GetStreamHeadsQuery): Promise<{ task_id: string; head_seq: number; first_seq: number }[]> {
    if (task_ids.length === 0) return [];
    const { rows } = await sql<{ task_id: string; head_seq: number; first_seq: number }>`
      select asked.task_id, coalesce(stream.head_seq, 0) as head_seq,
        case when stream.head_seq > 0 then coalesce(first.seq, stream.head_seq + 1) else 0 end as first_seq
      from unnest(${task_ids}::uuid[]) as asked (task_id)
      left join task_streams stream on stream.task_id = asked.task_id
      left join lateral (
        select min(first_seq) as seq from task_stream_segments kept where kept.task_id = asked.task_id
      ) first on true
    `.execute(this.transactions.kysely<StreamDB>());
    return rows.map((row) => ({ task_id: row.task_id, head_seq: row.head_seq, first_seq: row.first_seq }));
  }
}

@QueryHandler(GetProgressQuery)
export class GetProgressHandler implements IQueryHandler<GetProgressQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ agent_id }: GetProgressQuery): Promise<{ progress: number | null; message: string | null }> {
    const row = await this.transactions
      .kysely<StreamDB>()
      .selectFrom('acp_messages')
      .select('data')
      .where('agent_id', '=', agent_id)
      .where('type', '=', 'progress')
      // What the server tells of clones and pulls is no progress of the agent's.
      .where(sql<boolean>`data->>'source' is distinct from ${SERVER_SOURCE}`)
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    const { progress, message } = row?.data ?? {};
    return {
      progress: typeof progress === 'number' ? Math.min(100, Math.max(0, progress)) : null,
      message: typeof message === 'string' ? message : null,
    };
  }
}
