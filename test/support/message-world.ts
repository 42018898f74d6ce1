import { randomUUID } from 'node:crypto';
import type { EventBus } from '@nestjs/cqrs';
import type { MessageDraft } from '../../src/common/acp/acp-message.js';
import type { Housekeeping } from '../../src/common/ops/housekeeping.js';
import { Metrics } from '../../src/common/ops/metrics.js';
import { MessageLog } from '../../src/modules/agent/app/message-log.js';
import { MessagePages } from '../../src/modules/agent/app/message-pages.js';
import { MessageRetention } from '../../src/modules/agent/app/message-retention.js';
import {
  GetStreamHeadsHandler,
  ReadMessagesHandler,
  ReadReplayHandler,
} from '../../src/modules/agent/app/message.queries.js';
import { SegmentMetrics } from '../../src/modules/agent/app/segment-metrics.js';
import {
  GetStreamHeadsQuery,
  ReadMessagesQuery,
  ReadReplayQuery,
  type MessageFilter,
} from '../../src/modules/agent/contracts/agent.queries.js';
import { query } from './database.js';
import { openTestDatabase, type TestDatabase } from './orm.js';

/** A run of a task with an agent that has written, or may. */
export interface TestAgent {
  task_id: string;
  run_id: string;
  agent_id: string;
}

/** Streams of a database of its own: written, read and removed by what the server uses, without a server. */
export class MessageWorld {
  readonly metrics = new Metrics();
  private readonly log: MessageLog;
  readonly pages: MessagePages;

  private constructor(readonly database: TestDatabase) {
    this.log = new MessageLog({ publish: () => undefined } as unknown as EventBus);
    this.pages = new MessagePages(database.transactions);
  }

  static async open(): Promise<MessageWorld> {
    return new MessageWorld(await openTestDatabase());
  }

  close(): Promise<void> {
    return this.database.close();
  }

  sql<T extends object>(text: string, values: unknown[] = []): Promise<T[]> {
    return query<T>(this.database.url, text, values);
  }

  /** An agent of a new run, of a new task or of the one that is named. */
  async agent(of?: { task_id: string; board_id: string }): Promise<TestAgent & { board_id: string }> {
    const { task_id, board_id } = of ?? (await this.database.task());
    const [run_id, agent_id] = [randomUUID(), randomUUID()];
    const run = `insert into runs (id, task_id, board_id, agent_type, state) values ($1, $2, $3, 'demo-agent', 'COMPLETED')`;
    await this.sql(run, [run_id, task_id, board_id]);
    await this.sql(
      `insert into agent_instances (id, task_id, board_id, run_id, attempt, epoch, agent_type, runtime, image_name, status)
       values ($1, $2, $3, $4, 1, 1, 'demo-agent', 'docker', 'x', 'COMPLETED')`,
      [agent_id, task_id, board_id, run_id],
    );
    return { task_id, board_id, run_id, agent_id };
  }

  /** Appends messages of the agent in one transaction; returns the first `seq`. */
  append({ task_id, run_id, agent_id }: TestAgent, drafts: readonly MessageDraft[]): Promise<number> {
    return this.database.transactions.run((tx) => this.log.append(tx, { task_id, run_id, agent_id }, drafts));
  }

  read(task_id: string, after_seq: number, limit: number, filter: MessageFilter | null = null) {
    return new ReadMessagesHandler(this.pages).execute(new ReadMessagesQuery(task_id, after_seq, limit, filter));
  }

  async replay(run_id: string, after_seq: number, limit: number) {
    return (await this.replayPage(run_id, after_seq, limit)).messages;
  }

  replayPage(run_id: string, after_seq: number, limit: number) {
    return new ReadReplayHandler(this.pages).execute(new ReadReplayQuery(run_id, after_seq, limit));
  }

  async head(task_id: string): Promise<{ head_seq: number; first_seq: number }> {
    const heads = new GetStreamHeadsHandler(this.database.transactions).execute(new GetStreamHeadsQuery([task_id]));
    const { head_seq, first_seq } = (await heads)[0]!;
    return { head_seq, first_seq };
  }

  /** Every `seq` of a task after `after`, read in pages. */
  async seqs(task_id: string, page = 100, after = 0): Promise<number[]> {
    const seqs: number[] = [];
    for (let at = after; ;) {
      const { messages, through_seq } = await this.read(task_id, at, page);
      if (messages.length === 0) return seqs;
      seqs.push(...messages.map(({ seq }) => seq));
      at = through_seq;
    }
  }

  retention(
    limits: { days?: number; bytes?: number } = {},
    transactions = this.database.transactions,
  ): MessageRetention {
    const stream = { retention_days: limits.days ?? 0, retention_bytes: limits.bytes ?? 0 };
    const metrics = new SegmentMetrics(new Metrics());
    const config = { stream: { ...stream, connections_per_user: 1, subscriptions_per_user: 1 } };
    return new MessageRetention(transactions, {} as Housekeeping, metrics, config);
  }

  /** Makes the open segment older than it may be, and goes on to the next one. */
  async roll(): Promise<void> {
    const retention = this.retention();
    await retention.run(); // makes sure that the next one stands ready
    await this.sql(`update message_segments set created_at = now() - interval '25 hours' where closed_at is null`);
    await retention.run();
  }

  /** Numbers of the segments in use, and of the tables that there are. */
  async segments(): Promise<{ known: number[]; attached: number[]; tables: number[] }> {
    const [row] = await this.sql<{ known: number[]; attached: number[]; tables: number[] }>(`
      select array(select segment from message_segments order by 1) as known,
        array(select substring(inhrelid::regclass::text from 15)::int from pg_inherits
              where inhparent = 'acp_messages'::regclass and not inhdetachpending order by 1) as attached,
        array(select substring(relname from 15)::int from pg_class where relname ~ '^acp_messages_s[0-9]+$' order by 1) as tables`);
    return row!;
  }
}

/** Log lines with these words. */
export function lines(count: number, fields: Partial<MessageDraft> & { message?: string } = {}): MessageDraft[] {
  const { message = 'a line', ...more } = fields;
  const timestamp = new Date().toISOString();
  return Array.from({ length: count }, () => ({
    ...{ type: 'log', level: 'info', timestamp, data: { message } },
    ...more,
  }));
}

/** The numbers from `first` to `last`. */
export const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);
