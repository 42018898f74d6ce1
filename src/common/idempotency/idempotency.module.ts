import { Global, Module, type OnModuleInit } from '@nestjs/common';
import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { Housekeeping } from '../ops/housekeeping.js';
import { Transactions } from '../persistence/transactions.js';
import { Idempotency } from './idempotency.js';
import type { IdempotencyKeySchema } from './idempotency-key.entity.js';

const KEPT_HOURS = 24; // as the API document says
const SWEEP_MS = 600_000;

/** `Idempotency-Key`, for every module's commands; forgets keys that are older than the API promises to know them. */
@Global()
@Module({ providers: [Idempotency], exports: [Idempotency] })
export class IdempotencyModule implements OnModuleInit {
  constructor(
    private readonly transactions: Transactions,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.add({ name: 'idempotency keys', everyMs: SWEEP_MS, run: () => this.sweep() });
  }

  private async sweep(): Promise<void> {
    await this.transactions
      .kysely<InferKyselyDB<typeof IdempotencyKeySchema>>()
      .deleteFrom('idempotency_keys')
      .where('created_at', '<', sql<Date>`now() - make_interval(hours => ${KEPT_HOURS})`)
      .execute();
  }
}
