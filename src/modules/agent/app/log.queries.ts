import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type RawBuilder } from 'kysely';
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
import { segmentsOf } from './message-segments.js';

/** One log message. */
export interface LogLine {
  seq: number;
  timestamp: string;
  level: LogLevel;
  message: string;
  metadata: Record<string, unknown>;
}

/** Which logs; null is all of them. */
export interface LogFilter {
  levels: LogLevel[] | null;
  /** RFC 3339: from this time on, and before that one. */
  since: string | null;
  until: string | null;
  /** Messages with a greater `seq`. */
  after_seq: number;
  /** A part of the message, in upper or lower case. */
  q: string | null;
}

/**
 * Logs of a task, or of one of its agent instances, oldest first. `total` counts all that pass the filters.
 * @throws DomainError `task.not_found`, `agent.not_found`, `request.invalid` for a wrong cursor, `request.too_slow`
 */
export class ListLogsQuery extends Query<Page<LogLine>> {
  constructor(
    readonly actor: Actor,
    readonly of: { task_id: string } | { agent_id: string },
    readonly filter: LogFilter,
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
    const task_id = await this.readableTask(actor, of);
    const after = page.cursor === null ? null : decodeNumber(page.cursor);
    // Counting a task of millions takes its time, and so does a rare word.
    return this.transactions.fenced<StreamDB, Page<LogLine>>(async (db) => {
      const segments = await segmentsOf(db, task_id, filter.after_seq);
      let logs = db.selectFrom('acp_messages').where('type', '=', 'log');
      logs = logs.where(sql<boolean>`segment = any(${segments}::int[])`).where('task_id', '=', task_id);
      if ('agent_id' in of) logs = logs.where('agent_id', '=', of.agent_id);
      if (filter.after_seq > 0) logs = logs.where('seq', '>', filter.after_seq);
      if (filter.levels) logs = logs.where('level', 'in', filter.levels);
      if (filter.since) logs = logs.where('timestamp', '>=', sql<Date>`${filter.since}::timestamptz`);
      if (filter.until) logs = logs.where('timestamp', '<', sql<Date>`${filter.until}::timestamptz`);
      if (filter.q) logs = logs.where(hasWords(filter.q));
      const { total } = await logs.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
      if (total === 0) return pageOf<LogLine>([], page, 0, () => '');
      let part = logs.select(['seq', 'timestamp', 'level', 'data']).orderBy('seq');
      if (after !== null) part = part.where('seq', '>', after);
      const rows = await part
        .limit(page.limit + 1)
        .offset(page.offset)
        .execute();
      return pageOf(rows.map(toLogLine), page, total, ({ seq }) => encodeNumber(seq));
    });
  }

  private async readableTask(actor: Actor, of: { task_id: string } | { agent_id: string }): Promise<string> {
    if ('agent_id' in of) return (await requireAgent(this.transactions, this.queries, actor, of.agent_id)).task_id;
    await this.queries.execute(new GetTaskQuery(actor, of.task_id));
    return of.task_id;
  }
}

/**
 * Whether the message has the words, in upper or lower case, whatever the database's own language is. Most rows are told
 * by their text as it is stored, which is JSON as JSON.stringify writes it, and not parsed.
 */
function hasWords(words: string): RawBuilder<boolean> {
  // Whole tables of letters cost twice as much, and only words with others than English ones need them.
  const collation = sql.ref(/^[ -~]+$/.test(words) ? 'C' : 'pg_c_utf8');
  const lower = (text: RawBuilder<unknown>) => sql`lower((${text}) collate ${collation})`;
  const inJson = JSON.stringify(words).slice(1, -1);
  return sql`strpos(${lower(sql`data::text`)}, ${lower(sql`${inJson}::text`)}) > 0
    and strpos(${lower(sql`data ->> 'message'`)}, ${lower(sql`${words}::text`)}) > 0`;
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
