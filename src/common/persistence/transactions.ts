import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { MikroORM, type EntityManager, type InferKyselyDB } from '@mikro-orm/postgresql';
import { sql, type CompiledQuery, type Kysely } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { DomainEvent } from '../bus/contracts.js';
import { OutboxEvent, type OutboxEventSchema } from '../bus/outbox-event.entity.js';
import { WakeUp } from '../bus/wake-up.js';
import { Fence } from './fence.js';
import { UrgentConnection } from './urgent-connection.js';

/** A statement was prepared on another connection than it is run on: something between us and PostgreSQL shares them. */
const UNKNOWN_STATEMENT = new Set(['26000', '42P05']);
/** Statements that are prepared: more than there are texts of such, so that no list grows without a bound. */
const MAX_PREPARED = 100;

/**
 * A prepared statement is a short one, and waits for locks for less than {@link FENCE_MS} if at all. No answer for this
 * long: the other end is gone without a word, the connection is given up, and whoever sent it finds out what came of it.
 */
const ANSWER_MS = 30_000;

/** Rows in one INSERT: 8 values each, and a statement takes at most 65,535. */
const EVENTS_PER_INSERT = 1_000;

/** One database transaction: rows, events and what is to happen once they are committed. */
export class Tx {
  private readonly hooks: (() => void)[] = [];

  private manager: EntityManager | undefined;

  constructor(
    private readonly orm: MikroORM,
    private readonly transaction: Kysely<unknown>,
    private readonly outboxBell: WakeUp,
  ) {}

  /** The unit of work; made when it is first asked for, as a use case of plain SQL needs none. */
  get em(): EntityManager {
    if (!this.manager) {
      this.manager = this.orm.em.fork();
      this.manager.setTransactionContext(this.transaction);
    }
    return this.manager;
  }

  /** Typed SQL on this transaction's connection. Flush entities first where a statement must see them. */
  kysely<DB>(): Kysely<DB> {
    return this.transaction as Kysely<DB>;
  }

  /** Writes the event's outbox row into this transaction. */
  emit(event: DomainEvent): void {
    const { topic, aggregate_id, aggregate_seq, data } = event;
    this.em.create(OutboxEvent, { id: uuidv7(), topic, aggregate_id, aggregate_seq, data }, { persist: true });
    this.ringsOutbox();
  }

  /** The same for many events: in few statements, and without an entity for each. */
  async emitAll(events: readonly DomainEvent[]): Promise<void> {
    if (events.length === 0) return;
    const db = this.kysely<InferKyselyDB<typeof OutboxEventSchema>>();
    for (let start = 0; start < events.length; start += EVENTS_PER_INSERT) {
      const rows = events
        .slice(start, start + EVENTS_PER_INSERT)
        .map(({ topic, aggregate_id, aggregate_seq, data }) => {
          // The database's own clock, as it is the one that the relay goes by.
          const times = { created_at: sql<Date>`default`, next_attempt_at: sql<Date>`default` };
          return { id: uuidv7(), topic, aggregate_id, aggregate_seq, data, attempts: 0, ...times };
        });
      await db.insertInto('outbox_events').values(rows).execute();
    }
    this.ringsOutbox();
  }

  /** Runs after the commit, synchronously and in order; not at all after a rollback. Must not throw. */
  afterCommit(hook: () => void): void {
    this.hooks.push(hook);
  }

  /** @internal */
  async flush(): Promise<void> {
    await this.manager?.flush();
  }

  /** @internal */
  committed(): void {
    for (const hook of this.hooks) hook();
  }

  private ringsOutbox(): void {
    if (!this.hooks.includes(this.ringOutbox)) this.hooks.push(this.ringOutbox);
  }

  private readonly ringOutbox = (): void => this.outboxBell.ring();
}

/** Opens transactions. A use case takes one of its own and leaves nothing behind when it throws. */
@Injectable()
export class Transactions {
  /** Rung whenever committed work has left events in the outbox. */
  readonly outboxBell = new WakeUp();
  private readonly names = new Map<string, string>();
  private mayPrepare = true;
  private readonly fence = new Fence();
  private readonly line: UrgentConnection;

  constructor(private readonly orm: MikroORM) {
    this.line = new UrgentConnection(orm);
  }

  /** Runs `work` in a transaction, flushes, commits, then runs the after-commit hooks. */
  async run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    let tx: Tx | undefined;
    const result = await this.kysely<unknown>()
      .transaction()
      .execute(async (transaction) => {
        tx = new Tx(this.orm, transaction, this.outboxBell);
        const answer = await work(tx);
        await tx.flush();
        return answer;
      });
    tx?.committed();
    return result;
  }

  /** Ends what is not the pool's own. Called once, when nobody sends anything any more. */
  async close(): Promise<void> {
    await this.line.close();
  }

  /** Typed SQL outside any transaction: for reads, and for single statements. Costs nothing: it is the pool's own. */
  kysely<DB>(): Kysely<DB> {
    return this.orm.em.getConnection().getClient();
  }

  /**
   * One statement, which is a transaction by itself, planned once a connection: for those that are sent all the time
   * and whose plan takes longer than their work. Where a pooler loses what was prepared, it is sent like any other.
   * @throws Error `Query read timeout` after {@link ANSWER_MS}; nobody knows then whether it was run
   */
  async prepared<T>(statement: CompiledQuery<T>): Promise<T[]> {
    const pool = await this.orm.em.getConnection().getNativeClient();
    const { sql: text, parameters } = statement;
    const query = { text, values: [...parameters], query_timeout: ANSWER_MS };
    const name = this.mayPrepare ? this.nameOf(text) : undefined;
    try {
      return (await pool.query({ ...query, ...(name !== undefined && { name }) })).rows as T[];
    } catch (error) {
      if (name === undefined || !UNKNOWN_STATEMENT.has((error as { code?: string }).code ?? '')) throw error;
      this.mayPrepare = false;
      return (await pool.query(query)).rows as T[];
    }
  }

  /**
   * One statement that others count on being in time, such as a heartbeat: on a connection that nobody else uses, and
   * given up with it after {@link URGENT_MS}; see {@link UrgentConnection}.
   * @throws Error of a database that is away; nobody knows then whether it was run
   */
  urgent<T>(statement: CompiledQuery<T>): Promise<T[]> {
    return this.line.run(statement);
  }

  /** Reads that may cost much, on one connection; see {@link Fence}. @throws DomainError `request.too_slow` (unavailable) */
  async fenced<DB, T>(read: (db: Kysely<DB>) => Promise<T>): Promise<T> {
    return this.fence.run(this.kysely<DB>(), read);
  }

  private nameOf(text: string): string | undefined {
    const known = this.names.get(text);
    if (known !== undefined || this.names.size >= MAX_PREPARED) return known;
    // By its text: behind a pooler another server's statement may be known there, and one of that name is the same one.
    const name = `kandev_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
    this.names.set(text, name);
    return name;
  }
}
