import { Injectable } from '@nestjs/common';
import { EventBus } from '@nestjs/cqrs';
import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { AcpMessage, MessageDraft } from '../../../common/acp/acp-message.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { MessagesAppendedEvent } from '../contracts/agent.events.js';
import type { AcpMessageSchema, TaskStreamSchema } from '../domain/message.entity.js';

/** Tables of the stream, for typed SQL. */
export type StreamDB = InferKyselyDB<typeof AcpMessageSchema | typeof TaskStreamSchema>;

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
   * Appends messages in order, with the next numbers of the task. The head's row stays locked until the commit, so
   * numbers appear in order and without gaps. Streams hear of it after the commit. Returns the number of the first;
   * 0 where there is nothing to append.
   */
  async append(tx: Tx, origin: MessageOrigin, drafts: readonly MessageDraft[]): Promise<number> {
    if (drafts.length === 0) return 0;
    const { task_id, run_id, agent_id } = origin;
    const db = tx.kysely<StreamDB>();
    const { head_seq } = await db
      .insertInto('task_streams')
      .values({ task_id, head_seq: drafts.length })
      .onConflict((conflict) =>
        conflict.column('task_id').doUpdateSet({ head_seq: sql<number>`task_streams.head_seq + ${drafts.length}` }),
      )
      .returning('head_seq')
      .executeTakeFirstOrThrow();
    const first = head_seq - drafts.length + 1;
    await sql`
      insert into acp_messages (task_id, seq, run_id, agent_id, type, level, timestamp, data)
      select ${task_id}::uuid, ${first}::bigint + n - 1, ${run_id}::uuid, ${agent_id}::uuid, type, level, at, data::jsonb
      from unnest(
        ${drafts.map((draft) => draft.type)}::text[], ${drafts.map((draft) => draft.level)}::text[],
        ${drafts.map((draft) => draft.timestamp)}::timestamptz[], ${drafts.map((draft) => JSON.stringify(draft.data))}::text[]
      ) with ordinality as line (type, level, at, data, n)`.execute(db);
    const messages = drafts.map(({ type, timestamp, data }, index): AcpMessage => {
      return { type, timestamp, agent_id, task_id, run_id, seq: first + index, data };
    });
    tx.afterCommit(() => {
      this.events.publish(new MessagesAppendedEvent(task_id, messages));
    });
    return first;
  }
}

/** A `status` message of the server's own. */
export function statusMessage(status: string, message: string, details: Record<string, unknown> = {}): MessageDraft {
  return { type: 'status', timestamp: new Date().toISOString(), level: null, data: { status, message, ...details } };
}
