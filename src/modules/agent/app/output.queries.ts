import { Inject } from '@nestjs/common';
import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { LogLevel } from '../../../common/acp/acp-message.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { Page, PageRequest } from '../../../common/validation/page.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { AgentDB } from './agent-rows.js';
import { artifactPath } from './artifact-collector.js';
import type { StreamDB } from './message-log.js';

/** One log message. */
export interface LogLine {
  seq: number;
  timestamp: string;
  level: LogLevel;
  message: string;
  metadata: Record<string, unknown>;
}

/** Logs of a task, or of one of its agent instances, oldest first. */
export class ListLogsQuery extends Query<Page<LogLine>> {
  constructor(
    readonly actor: Actor,
    readonly of: { task_id: string } | { agent_id: string },
    readonly filter: { levels: LogLevel[] | null; since: string | null },
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListLogsQuery)
export class ListLogsHandler implements IQueryHandler<ListLogsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, of, filter, page }: ListLogsQuery): Promise<Page<LogLine>> {
    const db = this.transactions.kysely<StreamDB & AgentDB>();
    if ('task_id' in of) await this.queries.execute(new GetTaskQuery(actor, of.task_id));
    else await requireAgent(this.transactions, this.queries, actor, of.agent_id);
    let logs = db.selectFrom('acp_messages').where('type', '=', 'log');
    logs = 'task_id' in of ? logs.where('task_id', '=', of.task_id) : logs.where('agent_id', '=', of.agent_id);
    if (filter.levels) logs = logs.where('level', 'in', filter.levels);
    if (filter.since) logs = logs.where('timestamp', '>=', sql<Date>`${filter.since}::timestamptz`);
    const { total } = await logs.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    const rows = await logs
      .select(['seq', 'timestamp', 'level', 'data'])
      .orderBy('seq')
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    const items = rows.map(({ seq, timestamp, level, data }): LogLine => {
      const { message, metadata } = data;
      return {
        seq: seq,
        timestamp: toTimestamp(timestamp),
        level: level ?? 'info',
        message: typeof message === 'string' ? message : JSON.stringify(message ?? ''),
        metadata: typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, unknown>) : {},
      };
    });
    return { items, total: total, next_cursor: null };
  }
}

/** An artifact as clients see it. */
export interface ArtifactView {
  id: string;
  name: string;
  type: string;
  path: string;
  size: number;
  sha256: string;
  agent_instance_id: string;
  created_at: string;
  download_url: string;
}

export class ListArtifactsQuery extends Query<Page<ArtifactView>> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListArtifactsQuery)
export class ListArtifactsHandler implements IQueryHandler<ListArtifactsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, page }: ListArtifactsQuery): Promise<Page<ArtifactView>> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const artifacts = this.transactions.kysely<AgentDB>().selectFrom('artifacts').where('task_id', '=', task_id);
    const { total } = await artifacts.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    const rows = await artifacts
      .selectAll()
      .orderBy('created_at')
      .orderBy('id')
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    const items = rows.map(({ id, name, type, path, size, sha256, agent_instance_id, created_at }): ArtifactView => {
      const download_url = `/api/v1/orchestrator/tasks/${task_id}/artifacts/${id}/download`;
      return {
        id,
        name,
        type,
        path,
        size: size,
        sha256,
        agent_instance_id,
        created_at: toTimestamp(created_at),
        download_url,
      };
    });
    return { items, total: total, next_cursor: null };
  }
}

/** Where the bytes of an artifact are (a path of this host, for the controller alone), and its name. */
export class FindArtifactFileQuery extends Query<{ path: string; name: string; size: number }> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly artifact_id: string,
  ) {
    super();
  }
}

@QueryHandler(FindArtifactFileQuery)
export class FindArtifactFileHandler implements IQueryHandler<FindArtifactFileQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({
    actor,
    task_id,
    artifact_id,
  }: FindArtifactFileQuery): Promise<{ path: string; name: string; size: number }> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('artifacts')
      .select(['id', 'name', 'size'])
      .where('id', '=', artifact_id)
      .where('task_id', '=', task_id)
      .executeTakeFirst();
    if (!row) throw notFound('artifact');
    return { path: artifactPath(this.config, task_id, row.id), name: row.name, size: row.size };
  }
}

/** The task of an agent instance that the actor may see. @throws DomainError `agent.not_found`, `board.forbidden` */
export async function requireAgent(
  transactions: Transactions,
  queries: QueryBus,
  actor: Actor,
  agentId: string,
  permission: 'read' | 'write' = 'read',
): Promise<{ task_id: string }> {
  const row = await transactions
    .kysely<AgentDB>()
    .selectFrom('agent_instances')
    .select('task_id')
    .where('id', '=', agentId)
    .executeTakeFirst();
  if (!row) throw notFound('agent');
  await queries.execute(new GetTaskQuery(actor, row.task_id, permission)).catch((error: unknown) => {
    throw (error as { kind?: string }).kind === 'not_found' ? notFound('agent') : error;
  });
  return row;
}
