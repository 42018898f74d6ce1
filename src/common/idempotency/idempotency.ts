import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import type { Kysely } from 'kysely';
import type { Actor } from '../auth/actor.js';
import { DomainError } from '../errors/domain-error.js';
import { Transactions, type Tx } from '../persistence/transactions.js';
import type { IdempotencyKeySchema } from './idempotency-key.entity.js';

type DB = InferKyselyDB<typeof IdempotencyKeySchema>;

/** The `Idempotency-Key` of a request, and what tells it from other requests. Part of commands, so JSON-safe. */
export interface OnceKey {
  key: string;
  /** SHA-256 of method, path and body, hex. */
  fingerprint: string;
}

/** Thrown inside a transaction to leave it: somebody else has done the work meanwhile. */
class DoneBefore extends Error {}

/**
 * Carries a change out once per key. The key's row is written first and the answer last, in the change's own
 * transaction: whoever comes meanwhile waits at the row, and after a kill either both are there or neither.
 */
@Injectable()
export class Idempotency {
  constructor(private readonly transactions: Transactions) {}

  /**
   * `work` in a transaction, or what it answered the first time. A failure is not remembered: the next try counts.
   * @throws DomainError `idempotency.key_reused` when the key was used for another request
   */
  async run<T extends object>(actor: Actor, once: OnceKey | null, work: (tx: Tx) => Promise<T>): Promise<T> {
    const { user_id } = actor;
    if (once === null || user_id === null) return this.transactions.run(work);
    try {
      return await this.transactions.run(async (tx) => {
        if (!(await begin(tx.kysely<DB>(), user_id, once))) throw new DoneBefore();
        const answer = await work(tx);
        await tx.em.flush();
        await finish(tx.kysely<DB>(), user_id, once, answer);
        return answer;
      });
    } catch (error) {
      if (!(error instanceof DoneBefore)) throw error;
    }
    return (await this.answered<T>(actor, once)) ?? this.run(actor, once, work); // the key's row has just expired
  }

  /** What the key stood for was taken back, and its caller told so: the next try counts. */
  async forget({ user_id }: Actor, once: OnceKey | null): Promise<void> {
    if (once === null || user_id === null) return;
    await this.transactions
      .kysely<DB>()
      .deleteFrom('idempotency_keys')
      .where('user_id', '=', user_id)
      .where('key', '=', once.key)
      .where('fingerprint', '=', once.fingerprint)
      .execute();
  }

  /** What was answered to this key; undefined when there is none, or nothing was. @throws DomainError `idempotency.key_reused` */
  async answered<T extends object>({ user_id }: Actor, once: OnceKey | null): Promise<T | undefined> {
    if (once === null || user_id === null) return undefined;
    const row = await this.transactions
      .kysely<DB>()
      .selectFrom('idempotency_keys')
      .select(['fingerprint', 'answer'])
      .where('user_id', '=', user_id)
      .where('key', '=', once.key)
      .executeTakeFirst();
    if (!row) return undefined;
    if (row.fingerprint !== once.fingerprint) {
      throw new DomainError(
        'conflict',
        'idempotency.key_reused',
        'This Idempotency-Key was used for another request. Use a new key for each request.',
      );
    }
    return row.answer as T;
  }
}

/** False when the key's row is there already. Waits for whoever is just writing it. */
async function begin(db: Kysely<DB>, user_id: string, { key, fingerprint }: OnceKey): Promise<boolean> {
  const row = { user_id, key, fingerprint, answer: null, created_at: new Date() };
  const inserted = await db
    .insertInto('idempotency_keys')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .returning('key')
    .executeTakeFirst();
  return inserted !== undefined;
}

async function finish(db: Kysely<DB>, user_id: string, { key }: OnceKey, answer: object): Promise<void> {
  await db
    .updateTable('idempotency_keys')
    .set({ answer })
    .where('user_id', '=', user_id)
    .where('key', '=', key)
    .execute();
}
