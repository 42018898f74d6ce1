import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { sql, type Kysely } from 'kysely';
import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { faultPoint } from '../ops/fault-points.js';
import { Transactions, type Tx } from '../persistence/transactions.js';
import { Workers, type Worker } from '../ops/workers.js';
import type { OutboxEventSchema } from './outbox-event.entity.js';
import { NotYet, OutboxHandlers, type DeliveredEvent } from './outbox-handlers.js';
import { toTimestamp } from '../persistence/timestamp.js';

type DB = InferKyselyDB<typeof OutboxEventSchema>;

const BATCH = 50; // keeps the claiming transaction short
const POLL_MS = 1_000; // the net under the bell, and what events of other processes wait at most
/** Between two deliveries: an event that comes alone goes at once, many that come together go together. */
const GATHER_MS = 10;
const MAX_BACKOFF_SECONDS = 60;

/**
 * Delivers outbox rows to the subscribed handlers, at least once: a row is deleted in the transaction that claimed
 * it, after its handlers have finished; a kill in between leaves it for the next relay.
 */
@Injectable()
export class OutboxRelay implements OnModuleInit, Worker {
  readonly name = 'outbox-relay';
  readonly roles = ['orchestrator'] as const;
  private readonly logger = new Logger(OutboxRelay.name);
  private running: Promise<void> | undefined;
  private stopping = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly handlers: OutboxHandlers,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.transactions.outboxBell.ring();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      try {
        if ((await this.transactions.run((tx) => this.deliverBatch(tx))) === BATCH) continue;
      } catch (error) {
        this.logger.warn({ err: error }, 'the outbox could not be read; trying again');
      }
      const ended = performance.now();
      if (!this.stopping) await this.transactions.outboxBell.wait(POLL_MS);
      const gathered = performance.now() - ended;
      if (!this.stopping && gathered < GATHER_MS) await sleep(GATHER_MS - gathered);
    }
  }

  private async deliverBatch(tx: Tx): Promise<number> {
    const db = tx.kysely<DB>();
    const rows = await db
      .selectFrom('outbox_events')
      .selectAll()
      .where('next_attempt_at', '<=', sql<Date>`now()`)
      .orderBy('id')
      .limit(BATCH)
      .forUpdate()
      .skipLocked()
      .execute();
    const delivered: string[] = [];
    for (const row of rows) {
      const { id, topic, aggregate_id, aggregate_seq, data } = row;
      const event: DeliveredEvent = {
        ...{ id, topic, aggregate_id, aggregate_seq },
        timestamp: toTimestamp(row.created_at),
        data: data as Record<string, unknown>,
      };
      if (await this.deliver(event)) delivered.push(id);
      else await this.postpone(db, id, row.attempts);
    }
    if (delivered.length > 0) {
      const ids = sql<string>`any(${delivered}::uuid[])`;
      await db.deleteFrom('outbox_events').where('id', '=', ids).execute();
    }
    return rows.length;
  }

  /** To every handler, also when one before it has failed: what that can't do now is no reason to keep it from others. */
  private async deliver(event: DeliveredEvent): Promise<boolean> {
    let done = true;
    for (const handle of this.handlers.for(event.topic)) {
      try {
        await handle(event);
      } catch (error) {
        done = false;
        this.tell(event, error);
      }
    }
    if (done) faultPoint('outbox.handled');
    return done;
  }

  private tell({ id, topic }: DeliveredEvent, error: unknown): void {
    if (error instanceof NotYet) this.logger.debug(`${topic} is delivered again: ${error.message}`);
    else this.logger.error({ err: error, topic, event_id: id }, 'an event handler failed; it gets the event again');
  }

  private async postpone(db: Kysely<DB>, id: string, attempts: number): Promise<void> {
    const seconds = Math.min(2 ** attempts, MAX_BACKOFF_SECONDS);
    await db
      .updateTable('outbox_events')
      .set({ attempts: attempts + 1, next_attempt_at: sql<Date>`now() + make_interval(secs => ${seconds})` })
      .where('id', '=', id)
      .execute();
  }
}
