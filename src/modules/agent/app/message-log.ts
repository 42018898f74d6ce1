import { Injectable } from '@nestjs/common';
import { EventBus } from '@nestjs/cqrs';
import type { InferKyselyDB } from '@mikro-orm/postgresql';
import type { Compilable } from 'kysely';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { SERVER_SOURCE } from '../../../common/acp/message-source.js';
import { wireJson, type StoredMessage } from '../../../common/acp/stored-message.js';
import { faultPoint } from '../../../common/ops/fault-points.js';
import type { Transactions, Tx } from '../../../common/persistence/transactions.js';
import { MessagesAppendedEvent } from '../contracts/agent.events.js';
import type {
  AcpMessageSchema,
  MessageSegmentSchema,
  TaskStreamSchema,
  TaskStreamSegmentSchema,
} from '../domain/message.entity.js';
import { appendStatement, messageBatch, type MessageBatch, type MessageOrigin } from './append-statement.js';

/** Tables of the stream, for typed SQL. */
export type StreamDB = InferKyselyDB<
  typeof AcpMessageSchema | typeof MessageSegmentSchema | typeof TaskStreamSchema | typeof TaskStreamSegmentSchema
>;

export type { MessageOrigin };

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
    const batch = messageBatch(drafts);
    const { rows } = await appendStatement(origin, batch).execute(tx.kysely<StreamDB>());
    const [head] = rows;
    if (!head) throw new Error('there is no open segment for messages');
    tx.afterCommit(() => this.tell(origin, batch, head.head_seq));
    return head.head_seq - drafts.length + 1;
  }

  /** The same together with a `fence`, an update that returns its row; null where it finds none, and nothing is stored. */
  async appendWith<Row>(
    tx: Tx,
    fence: Compilable<Row>,
    origin: MessageOrigin,
    drafts: readonly MessageDraft[],
  ): Promise<Row | null> {
    const batch = messageBatch(drafts);
    const { rows } = await appendStatement<Row>(origin, batch, fence).execute(tx.kysely<StreamDB>());
    const [head] = rows;
    if (!head) return null;
    tx.afterCommit(() => this.tell(origin, batch, head.head_seq));
    return head;
  }

  /**
   * The same as a statement and transaction of its own: one round trip, planned once. Only together with the `fence`,
   * an update that returns its row. Returns that, and what tells streams of the messages; null where nothing was stored.
   */
  async appendFenced<Row>(
    transactions: Transactions,
    fence: Compilable<Row>,
    origin: MessageOrigin,
    batch: MessageBatch,
  ): Promise<{ row: Row; tell: () => void } | null> {
    const statement = appendStatement<Row>(origin, batch, fence).compile(transactions.kysely<StreamDB>());
    const [head] = await transactions.prepared<{ head_seq: number } & Row>(statement);
    return head ? { row: head, tell: () => this.tell(origin, batch, head.head_seq) } : null;
  }

  private tell(origin: MessageOrigin, { drafts, texts }: MessageBatch, last: number): void {
    faultPoint('output.committed');
    const messages = drafts.map(({ type, level, timestamp }, index): StoredMessage => {
      const seq = last - drafts.length + 1 + index;
      return { seq, type, level, json: wireJson({ type, timestamp, ...origin, seq }, texts[index]!) };
    });
    this.events.publish(new MessagesAppendedEvent(origin.task_id, origin.agent_id, messages));
  }
}

/** A `status` message of the server's own. */
export function statusMessage(status: string, message: string, details: Record<string, unknown> = {}): MessageDraft {
  const data = { status, message, source: SERVER_SOURCE, ...details };
  return { type: 'status', timestamp: new Date().toISOString(), level: null, data };
}
