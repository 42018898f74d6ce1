import { Injectable } from '@nestjs/common';
import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import type { Kysely } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { DomainEvent } from '../bus/contracts.js';
import { OutboxEvent } from '../bus/outbox-event.entity.js';
import { WakeUp } from '../bus/wake-up.js';

/** One database transaction: rows, events and what is to happen once they are committed. */
export class Tx {
  private readonly hooks: (() => void)[] = [];

  constructor(
    readonly em: EntityManager,
    private readonly outboxBell: WakeUp,
  ) {}

  /** Typed SQL on this transaction's connection. Flush entities first where a statement must see them. */
  kysely<DB>(): Kysely<DB> {
    return this.em.getKysely<DB>() as Kysely<DB>;
  }

  /** Writes the event's outbox row into this transaction. */
  emit(event: DomainEvent): void {
    const { topic, aggregate_id, aggregate_seq, data } = event;
    this.em.create(OutboxEvent, { id: uuidv7(), topic, aggregate_id, aggregate_seq, data }, { persist: true });
    if (!this.hooks.includes(this.ringOutbox)) this.hooks.push(this.ringOutbox);
  }

  /** Runs after the commit, synchronously and in order; not at all after a rollback. Must not throw. */
  afterCommit(hook: () => void): void {
    this.hooks.push(hook);
  }

  /** @internal */
  committed(): void {
    for (const hook of this.hooks) hook();
  }

  private readonly ringOutbox = (): void => this.outboxBell.ring();
}

/** Opens transactions. A use case takes one of its own and leaves nothing behind when it throws. */
@Injectable()
export class Transactions {
  /** Rung whenever committed work has left events in the outbox. */
  readonly outboxBell = new WakeUp();

  constructor(private readonly orm: MikroORM) {}

  /** Runs `work` in a transaction, flushes, commits, then runs the after-commit hooks. */
  async run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    let tx: Tx | undefined;
    const result = await this.orm.em.fork().transactional(async (em) => {
      tx = new Tx(em, this.outboxBell);
      return work(tx);
    });
    tx?.committed();
    return result;
  }

  /** Typed SQL outside any transaction: for reads, and for single statements. */
  kysely<DB>(): Kysely<DB> {
    return this.orm.em.fork().getKysely<DB>() as Kysely<DB>;
  }
}
