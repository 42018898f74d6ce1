import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import {
  GetStreamHeadsQuery,
  ReadMessagesQuery,
  ReadReplayQuery,
  type MessagePage,
  type ReplayPage,
} from '../contracts/agent.queries.js';
import type { StreamDB } from './message-log.js';
import { MessagePages, type PageWanted, type TimedPage } from './message-pages.js';

/** Segments that may go while one page of a replay is read; one an hour is much. */
const MAX_TRIES = 3;

@QueryHandler(ReadMessagesQuery)
export class ReadMessagesHandler implements IQueryHandler<ReadMessagesQuery> {
  constructor(private readonly pages: MessagePages) {}

  execute(query: ReadMessagesQuery): Promise<MessagePage> {
    return this.pages.read(query);
  }
}

@QueryHandler(ReadReplayQuery)
export class ReadReplayHandler implements IQueryHandler<ReadReplayQuery> {
  constructor(private readonly pages: MessagePages) {}

  async execute({ run_id, after_seq, limit }: ReadReplayQuery): Promise<ReplayPage> {
    for (let after = after_seq, tries = 0; ; tries++) {
      const span = await this.pages.spanOf(run_id);
      if (!span) return { messages: [], last_seq: 0, kept_from: 0 };
      const { task_id, last_seq } = span;
      after = Math.max(after, span.first_seq - 1);
      const { messages, through_seq } = await this.next({ task_id, run_id, to_seq: last_seq, limit, after_seq: after });
      // Nothing, but not the end: retention has removed what was to come. The run goes on after that, or not at all.
      if (messages.length === 0 && through_seq < last_seq && tries < MAX_TRIES) continue;
      const { first_seq: kept_from } = await this.pages.part(task_id, after_seq); // after the page: nothing is missed
      return { messages, last_seq, kept_from };
    }
  }

  /** The next messages of the run: others' may lie in between, more of them than a page looks at. */
  private async next(wanted: PageWanted & { to_seq: number }): Promise<TimedPage> {
    for (let { after_seq } = wanted; ;) {
      const page = await this.pages.read({ ...wanted, after_seq });
      const isOver = page.through_seq === after_seq || page.through_seq >= wanted.to_seq;
      if (page.messages.length > 0 || isOver) return page;
      after_seq = page.through_seq;
    }
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
