import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { MessageFilter, TimedMessage } from '../contracts/agent.queries.js';
import type { StreamDB } from './message-log.js';
import { readRows } from './message-rows.js';
import { findPart, segmentsOf, type StreamPart } from './message-segments.js';

/** Messages that are looked at for one filtered page: 20 ms of the database's time when nothing passes. */
const MAX_LOOKED_AT = 20_000;

/** Which part of a task's stream is wanted. */
export interface PageWanted {
  task_id: string;
  after_seq: number;
  limit: number;
  /** Not beyond this one. */
  to_seq?: number;
  filter?: MessageFilter | null;
  run_id?: string | null;
}

/** A part of a stream; see {@link MessagePages.read}. */
export interface TimedPage {
  messages: TimedMessage[];
  through_seq: number;
}

/** The part of a task's stream in which a run's messages lie; `last_seq` 0 where none is kept. */
export interface RunSpan {
  task_id: string;
  first_seq: number;
  last_seq: number;
}

/** Reads messages from the segments that have them, and from no others. */
@Injectable()
export class MessagePages {
  constructor(private readonly transactions: Transactions) {}

  /**
   * A page, in order of `seq`, with all that was committed before the call as far as it goes. `through_seq`: all up to
   * there is in `messages`, or did not pass. With a filter or a run the page may be empty and `through_seq` yet move
   * on; it stays at `after_seq` where nothing is kept, also where retention has removed what comes next: a reader that
   * sees nothing of most messages has to hear of that in another way, by the head and first `seq` of the stream.
   */
  async read({ task_id, after_seq, limit, ...wanted }: PageWanted): Promise<TimedPage> {
    const nothing = { messages: [], through_seq: after_seq };
    const { filter = null, run_id = null } = wanted;
    const isFiltered = filter?.types != null || filter?.min_level != null || run_id !== null;
    const part = await this.part(task_id, after_seq);
    if (isFiltered && part.first_seq > after_seq + 1) return nothing;
    const end = Math.min(wanted.to_seq ?? Infinity, isFiltered ? after_seq + MAX_LOOKED_AT : Infinity);
    const messages: TimedMessage[] = [];
    let through = after_seq;
    for (const { segment, to_seq } of part.ranges) {
      const to = Math.min(to_seq, end);
      if (to <= through) continue;
      const rows = { task_id, segment, after_seq: through, to_seq: to, limit: limit - messages.length, filter, run_id };
      const found = await readRows(this.transactions.kysely<StreamDB>(), rows);
      messages.push(...found.messages);
      const isFull = found.cut || messages.length === limit;
      through = isFull ? messages.at(-1)!.seq : to;
      if (isFull || through === end) break;
    }
    if (!isFiltered) return { messages, through_seq: messages.at(-1)?.seq ?? after_seq };
    // A segment that went meanwhile was read as if nothing in it had passed.
    if (through > after_seq && (await this.part(task_id, after_seq)).first_seq > after_seq + 1) return nothing;
    return { messages, through_seq: through };
  }

  /** Where the messages of a run lie, as far as they are kept; null for a run that no agent was started for. */
  async spanOf(run_id: string): Promise<RunSpan | null> {
    const db = this.transactions.kysely<StreamDB>();
    const { rows: agents } = await sql<{ id: string; task_id: string }>`
      select id, task_id from agent_instances where run_id = ${run_id}`.execute(db);
    const task_id = agents[0]?.task_id;
    if (task_id === undefined) return null;
    const segments = await segmentsOf(db, task_id);
    const of = sql`from acp_messages where segment = any(${segments}::int[]) and agent_id = agent.id`;
    const { rows } = await sql<{ first_seq: number | null; last_seq: number | null }>`
      select min(first.seq) as first_seq, max(last.seq) as last_seq
      from unnest(${agents.map(({ id }) => id)}::uuid[]) agent (id)
      left join lateral (select seq ${of} order by seq limit 1) first on true
      left join lateral (select seq ${of} order by seq desc limit 1) last on true`.execute(db);
    return { task_id, first_seq: rows[0]?.first_seq ?? 1, last_seq: rows[0]?.last_seq ?? 0 };
  }

  /** Where messages after `after_seq` lie. */
  part(task_id: string, after_seq: number): Promise<StreamPart> {
    return findPart(this.transactions.kysely<StreamDB>(), task_id, after_seq);
  }
}
