import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import {
  GetStreamHeadsQuery,
  ReadMessagesQuery,
  ReadReplayQuery,
  type MessagePage,
  type TimedMessage,
} from '../contracts/agent.queries.js';
import type { StreamDB } from './message-log.js';
import { MessagePages } from './message-pages.js';

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

  async execute({ run_id, after_seq, limit }: ReadReplayQuery): Promise<TimedMessage[]> {
    const span = await this.pages.spanOf(run_id);
    if (!span) return [];
    const { task_id, first_seq, last_seq: to_seq } = span;
    for (let after = Math.max(after_seq, first_seq - 1); after < to_seq;) {
      const page = await this.pages.read({ task_id, after_seq: after, limit, run_id, to_seq });
      if (page.messages.length > 0 || page.through_seq === after) return page.messages;
      after = page.through_seq; // another run's messages in between
    }
    return [];
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
