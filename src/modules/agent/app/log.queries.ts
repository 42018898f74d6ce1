import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { LogLevel } from '../../../common/acp/acp-message.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodeNumber, encodeNumber } from '../../../common/validation/cursor.js';
import { pageOf, type Page, type PageRequest } from '../../../common/validation/page.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { requireAgent } from './agent-access.js';
import type { StreamDB } from './message-log.js';

/** One log message. */
export interface LogLine {
  seq: number;
  timestamp: string;
  level: LogLevel;
  message: string;
  metadata: Record<string, unknown>;
}

/**
 * Logs of a task, or of one of its agent instances, oldest first.
 * @throws DomainError `task.not_found`, `agent.not_found`, `request.invalid` for a wrong cursor
 */
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
    if ('task_id' in of) await this.queries.execute(new GetTaskQuery(actor, of.task_id));
    else await requireAgent(this.transactions, this.queries, actor, of.agent_id);
    let logs = this.transactions.kysely<StreamDB>().selectFrom('acp_messages').where('type', '=', 'log');
    logs = 'task_id' in of ? logs.where('task_id', '=', of.task_id) : logs.where('agent_id', '=', of.agent_id);
    if (filter.levels) logs = logs.where('level', 'in', filter.levels);
    if (filter.since) logs = logs.where('timestamp', '>=', sql<Date>`${filter.since}::timestamptz`);
    const { total } = await logs.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    let part = logs.select(['seq', 'timestamp', 'level', 'data']).orderBy('seq');
    if (page.cursor !== null) part = part.where('seq', '>', decodeNumber(page.cursor));
    const rows = await part
      .limit(page.limit + 1)
      .offset(page.offset)
      .execute();
    return pageOf(rows.map(toLogLine), page, total, ({ seq }) => encodeNumber(seq));
  }
}

interface LogRow {
  seq: number;
  timestamp: Date | string;
  level: LogLevel | null;
  data: Record<string, unknown>;
}

function toLogLine({ seq, timestamp, level, data }: LogRow): LogLine {
  const { message, metadata } = data;
  const isObject = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
  return {
    seq,
    timestamp: toTimestamp(timestamp),
    level: level ?? 'info',
    message: typeof message === 'string' ? message : JSON.stringify(message ?? ''),
    metadata: isObject ? (metadata as Record<string, unknown>) : {},
  };
}
