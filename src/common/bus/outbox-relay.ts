import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, Optional, type OnModuleInit } from '@nestjs/common';
import { sql, type Kysely, type Selectable } from 'kysely';
import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { faultPoint } from '../ops/fault-points.js';
import { Transactions, type Tx } from '../persistence/transactions.js';
import { Workers, type Worker } from '../ops/workers.js';
import { EventDelivery, HANDLER_MS } from './event-delivery.js';
import type { OutboxEventSchema } from './outbox-event.entity.js';
import { OutboxHandlers, type DeliveredEvent } from './outbox-handlers.js';
import { toTimestamp } from '../persistence/timestamp.js';

type DB = InferKyselyDB<typeof OutboxEventSchema>;
type Row = Selectable<DB['outbox_events']>;

const BATCH = 50; // keeps the claiming transaction short
const POLL_MS = 1_000; // the net under the bell, and what events of other processes wait at most
/** Between two deliveries: an event that comes alone goes at once, many that come together go together. */
const GATHER_MS = 10;
const MAX_BACKOFF_SECONDS = 60;
/** A batch that takes longer than this holds nobody up: the next one is begun beside it. */
const SLOW_MS = 500;
/** Batches at once, each on a connection of its own; as many hang before later events wait. */
const AT_ONCE = 4;
/** No event of a batch is begun after this: PostgreSQL ends a transaction that stands idle for 10 s. */
const BATCH_MS = 3_000;
/** What is under way has its time at the end; of a connection that hangs nobody waits to hear. */
const STOP_MS = BATCH_MS + HANDLER_MS;

/**
 * Delivers outbox rows to the subscribed handlers, at least once: a row is deleted in the transaction that claimed
 * it, after its handlers have finished; a kill in between leaves it for the next relay. A handler that hangs delays its
 * own event, which comes again later and later, and no others. Events of one aggregate are never in two batches of
 * this process at once.
 */
@Injectable()
export class OutboxRelay implements OnModuleInit, Worker {
  readonly name = 'outbox-relay';
  readonly roles = ['orchestrator'] as const;
  private readonly logger = new Logger(OutboxRelay.name);
  private readonly delivery: EventDelivery;
  private readonly batches = new Set<Promise<number>>();
  /** Aggregates whose events are being delivered. */
  private readonly busy = new Set<string>();
  private running: Promise<void> | undefined;
  private stopping = false;

  constructor(
    private readonly transactions: Transactions,
    handlers: OutboxHandlers,
    private readonly workers: Workers,
    @Optional() handlerMs: number = HANDLER_MS,
  ) {
    this.delivery = new EventDelivery(handlers, handlerMs);
  }

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.running = this.loop();
  }

  /** Resolves within seconds: a handler that hangs is not waited for longer than its time. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.transactions.outboxBell.ring();
    await Promise.race([this.ended(), sleep(STOP_MS, undefined, { ref: false })]);
  }

  private async ended(): Promise<void> {
    await this.running;
    await Promise.all(this.batches);
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      if (this.batches.size >= AT_ONCE) await Promise.race(this.batches);
      const delivered = await Promise.race([this.begin(), sleep(SLOW_MS, 'slow' as const, { ref: false })]);
      if (delivered === BATCH) continue;
      const ended = performance.now();
      if (!this.stopping) await this.transactions.outboxBell.wait(POLL_MS);
      const gathered = performance.now() - ended;
      if (!this.stopping && gathered < GATHER_MS) await sleep(GATHER_MS - gathered);
    }
  }

  /** One batch; how many events it has taken. */
  private begin(): Promise<number> {
    const batch = this.transactions
      .run((tx) => this.deliverBatch(tx))
      .catch((error: unknown) => {
        this.logger.warn({ err: error }, 'the outbox could not be read; trying again');
        return 0;
      })
      .finally(() => this.batches.delete(batch));
    this.batches.add(batch);
    return batch;
  }

  private async deliverBatch(tx: Tx): Promise<number> {
    const db = tx.kysely<DB>();
    const rows = await this.take(db);
    try {
      await this.deliverAll(db, rows);
    } finally {
      for (const { aggregate_id } of rows) this.busy.delete(aggregate_id);
    }
    return rows.length;
  }

  /** Locked, and of aggregates that no other batch is at; they are noted as busy. */
  private async take(db: Kysely<DB>): Promise<Row[]> {
    const rows = await db
      .selectFrom('outbox_events')
      .selectAll()
      .where('next_attempt_at', '<=', sql<Date>`now()`)
      .$if(this.busy.size > 0, (some) => some.where('aggregate_id', '<>', sql<string>`all(${[...this.busy]}::uuid[])`))
      .orderBy('id')
      .limit(BATCH)
      .forUpdate()
      .skipLocked()
      .execute();
    const free = rows.filter(({ aggregate_id }) => !this.busy.has(aggregate_id)); // another may have come first
    for (const { aggregate_id } of free) this.busy.add(aggregate_id);
    return free;
  }

  private async deliverAll(db: Kysely<DB>, rows: readonly Row[]): Promise<void> {
    const delivered: string[] = [];
    const until = performance.now() + BATCH_MS;
    for (const row of rows) {
      if (performance.now() > until) break; // the next batch has the rest
      if (await this.delivery.deliver(toEvent(row), () => sql`select`.execute(db))) {
        faultPoint('outbox.handled');
        delivered.push(row.id);
      } else await this.postpone(db, row.id, row.attempts);
    }
    if (delivered.length > 0) {
      const ids = sql<string>`any(${delivered}::uuid[])`;
      await db.deleteFrom('outbox_events').where('id', '=', ids).execute();
    }
  }

  private async postpone(db: Kysely<DB>, id: string, attempts: number): Promise<void> {
    const seconds = Math.min(2 ** attempts, MAX_BACKOFF_SECONDS);
    await db
      .updateTable('outbox_events')
      .set({
        attempts: attempts + 1,
        next_attempt_at: sql<Date>`clock_timestamp() + make_interval(secs => ${seconds})`,
      })
      .where('id', '=', id)
      .execute();
  }
}

function toEvent({ id, topic, aggregate_id, aggregate_seq, created_at, data }: Row): DeliveredEvent {
  const event = { id, topic, aggregate_id, aggregate_seq };
  return { ...event, timestamp: toTimestamp(created_at), data: data as Record<string, unknown> };
}
