import { Injectable } from '@nestjs/common';
import { EventBus } from '@nestjs/cqrs';
import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { wireJson, type StoredMessage } from '../../../common/acp/stored-message.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { MessagesAppendedEvent } from '../contracts/agent.events.js';
import type {
  AcpMessageSchema,
  MessageSegmentSchema,
  TaskStreamSchema,
  TaskStreamSegmentSchema,
} from '../domain/message.entity.js';

/** Tables of the stream, for typed SQL. */
export type StreamDB = InferKyselyDB<
  typeof AcpMessageSchema | typeof MessageSegmentSchema | typeof TaskStreamSchema | typeof TaskStreamSegmentSchema
>;

/** Where a message comes from. */
export interface MessageOrigin {
  task_id: string;
  run_id: string;
  agent_id: string;
}

/** The one way into a task's stream. */
@Injectable()
export class MessageLog {
  constructor(private readonly events: EventBus) {}

  /**
   * Appends messages in order, with the next numbers of the task, to the open segment. The head's row stays locked
   * until the commit, so numbers appear in order and without gaps. Streams hear of it after the commit. Returns the
   * number of the first; 0 where there is nothing to append.
   */
  async append(tx: Tx, origin: MessageOrigin, drafts: readonly MessageDraft[]): Promise<number> {
    if (drafts.length === 0) return 0;
    const { task_id, run_id, agent_id } = origin;
    const texts = drafts.map(({ data }) => JSON.stringify(data));
    const n = drafts.length;
    const { rows } = await sql<{ head_seq: number }>`
      with head as (
        insert into task_streams as stream (task_id, head_seq, segment, segment_first_seq)
        select ${task_id}::uuid, ${n}::bigint, segment, 1 from message_segments where closed_at is null
        on conflict (task_id) do update set
          head_seq = stream.head_seq + ${n}::bigint,
          segment = greatest(stream.segment, excluded.segment),
          segment_first_seq = case when excluded.segment > stream.segment then stream.head_seq + 1 else stream.segment_first_seq end
        returning head_seq, segment, segment_first_seq
      ), first_of_segment as (
        insert into task_stream_segments (task_id, segment, first_seq)
        select ${task_id}::uuid, segment, segment_first_seq from head where segment_first_seq = head_seq - ${n}::bigint + 1
      ), messages as (
        insert into acp_messages (segment, task_id, seq, run_id, agent_id, type, level, timestamp, data)
        select head.segment, ${task_id}::uuid, head.head_seq - ${n}::bigint + n, ${run_id}::uuid, ${agent_id}::uuid, type, level, at, data::json
        from head, unnest(
          ${drafts.map((draft) => draft.type)}::text[], ${drafts.map((draft) => draft.level)}::text[],
          ${drafts.map((draft) => draft.timestamp)}::timestamptz[], ${texts}::text[]
        ) with ordinality as line (type, level, at, data, n)
      )
      select head_seq from head`.execute(tx.kysely<StreamDB>());
    const first = (rows[0]?.head_seq ?? 0) - n + 1;
    const messages = drafts.map(({ type, level, timestamp }, index): StoredMessage => {
      const seq = first + index;
      return { seq, type, level, json: wireJson({ type, timestamp, ...origin, seq }, texts[index]!) };
    });
    tx.afterCommit(() => {
      this.events.publish(new MessagesAppendedEvent(task_id, agent_id, messages));
    });
    return first;
  }
}

/** A `status` message of the server's own. */
export function statusMessage(status: string, message: string, details: Record<string, unknown> = {}): MessageDraft {
  return { type: 'status', timestamp: new Date().toISOString(), level: null, data: { status, message, ...details } };
}
