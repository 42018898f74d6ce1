import { sql, type Kysely, type RawBuilder } from 'kysely';
import { LOG_LEVELS, type LogLevel, type MessageType } from '../../../common/acp/acp-message.js';
import { wireJson } from '../../../common/acp/stored-message.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { MessageFilter, TimedMessage } from '../contracts/agent.queries.js';
import type { StreamDB } from './message-log.js';

/** Which messages of one segment are to be read: `seq` > `after_seq` and <= `to_seq`, in order. */
export interface RowsWanted {
  task_id: string;
  segment: number;
  after_seq: number;
  to_seq: number;
  limit: number;
  filter: MessageFilter | null;
  run_id: string | null;
}

interface Row {
  seq: number;
  run_id: string;
  agent_id: string;
  type: MessageType;
  level: LogLevel | null;
  timestamp: Date | string;
  stored_at_ms: number;
  /** Null for one that is not small. */
  data: string | null;
}

/** Bytes of a message that is read together with a page of others: 500 of them are 4 MiB. */
const SMALL_BYTES = 8_192;
/** Bytes of a page with messages that are not small, and how many it may have: their sizes are measured first. */
const PAGE_BYTES = 4 * 1024 * 1024;
const LARGE_ROWS = 32;

/**
 * Messages of one segment. Fewer than asked for, with `cut`, where more of them would be too much for the memory; at
 * least one is there then. The segment is named in the statement, so that PostgreSQL plans with that partition only.
 */
export async function readRows(
  db: Kysely<StreamDB>,
  wanted: RowsWanted,
): Promise<{ messages: TimedMessage[]; cut: boolean }> {
  // Compressed text is never small: a mebibyte of the same letter takes 12 KiB.
  const { rows } = await sql<Row>`
    select ${COLUMNS}, case when pg_column_size(data) < ${SMALL_BYTES} and pg_column_compression(data) is null
      then data::text end as data
    from acp_messages where ${condition(wanted)} order by seq limit ${wanted.limit}`.execute(db);
  const large = rows.findIndex(({ data }) => data === null);
  if (large === -1) return { messages: toMessages(rows, wanted.task_id), cut: false };
  if (large > 0) return { messages: toMessages(rows.slice(0, large), wanted.task_id), cut: true };
  return readLarge(db, wanted);
}

async function readLarge(
  db: Kysely<StreamDB>,
  wanted: RowsWanted,
): Promise<{ messages: TimedMessage[]; cut: boolean }> {
  const limit = Math.min(wanted.limit, LARGE_ROWS);
  const { rows } = await sql<Row>`
    select seq, run_id, agent_id, type, level, timestamp, stored_at_ms, data::text as data from (
      select measured.*, sum(bytes) over (order by seq rows unbounded preceding) - bytes as before from (
        select ${COLUMNS}, data, octet_length(data::text) as bytes
        from acp_messages where ${condition(wanted)} order by seq limit ${limit}
      ) measured
    ) page where before < ${PAGE_BYTES} order by seq`.execute(db);
  return { messages: toMessages(rows, wanted.task_id), cut: rows.length > 0 }; // none: they were removed meanwhile
}

const COLUMNS = sql`seq, run_id, agent_id, type, level, timestamp,
  (extract(epoch from created_at) * 1000)::float8 as stored_at_ms`;

function condition({ task_id, segment, after_seq, to_seq, filter, run_id }: RowsWanted): RawBuilder<boolean> {
  const conditions = [sql`segment = ${segment} and task_id = ${task_id} and seq > ${after_seq} and seq <= ${to_seq}`];
  if (filter?.types) conditions.push(sql`type = any(${filter.types}::text[])`);
  if (filter?.min_level) conditions.push(sql`(level is null or level = any(${levelsFrom(filter.min_level)}::text[]))`);
  if (run_id !== null) conditions.push(sql`run_id = ${run_id}`);
  return sql`${sql.join(conditions, sql` and `)}`;
}

/** The level and those above it. */
function levelsFrom(level: LogLevel): LogLevel[] {
  return LOG_LEVELS.slice(LOG_LEVELS.indexOf(level));
}

function toMessages(rows: readonly Row[], task_id: string): TimedMessage[] {
  let [last, timestamp]: [unknown, string] = [undefined, ''];
  return rows.map(({ seq, run_id, agent_id, type, level, data, stored_at_ms, ...row }) => {
    // Lines that were read together often have the same time, and to write a time is a third of all that is done here.
    if (row.timestamp !== last) [last, timestamp] = [row.timestamp, toTimestamp(row.timestamp)];
    const json = wireJson({ type, timestamp, agent_id, task_id, run_id, seq }, data ?? '{}');
    return { seq, type, level, json, stored_at_ms };
  });
}
