import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { Transactions } from '../persistence/transactions.js';
import { Counters, type Count } from './counters.js';
import type { RateLimitSchema } from './rate-limit.entity.js';

type DB = InferKyselyDB<typeof RateLimitSchema>;

/** Counters that several server processes share. The database's clock is everybody's. */
export class PostgresCounters extends Counters {
  constructor(private readonly transactions: Transactions) {
    super();
  }

  /** One statement, outside any transaction: a request that fails has been made all the same. */
  async hit(key: string, windowSeconds: number): Promise<Count> {
    const ends = sql<Date>`now() + make_interval(secs => ${windowSeconds})`;
    return this.db
      .insertInto('rate_limits')
      .values({ key, hits: 1, window_ends_at: ends })
      .onConflict((conflict) =>
        conflict.column('key').doUpdateSet({
          // A counter at its end stays there: an integer's range is more than anybody's limit.
          hits: sql<number>`case when rate_limits.window_ends_at <= now() then 1
            when rate_limits.hits = 2147483647 then rate_limits.hits else rate_limits.hits + 1 end`,
          window_ends_at: sql<Date>`case when rate_limits.window_ends_at <= now() then excluded.window_ends_at
            else rate_limits.window_ends_at end`,
        }),
      )
      .returning(['hits', SECONDS_LEFT])
      .executeTakeFirstOrThrow();
  }

  async peek(key: string, windowSeconds: number): Promise<Count> {
    const row = await this.db
      .selectFrom('rate_limits')
      .select(['hits', SECONDS_LEFT])
      .where('key', '=', key)
      .where('window_ends_at', '>', sql<Date>`now()`)
      .executeTakeFirst();
    return row ?? { hits: 0, resets_in: windowSeconds };
  }

  async reset(key: string): Promise<void> {
    await this.db.deleteFrom('rate_limits').where('key', '=', key).execute();
  }

  /** Removes what has expired. */
  async sweep(): Promise<void> {
    await this.db
      .deleteFrom('rate_limits')
      .where('window_ends_at', '<=', sql<Date>`now()`)
      .execute();
  }

  private get db() {
    return this.transactions.kysely<DB>();
  }
}

const SECONDS_LEFT = sql<number>`extract(epoch from rate_limits.window_ends_at - now())::float8`.as('resets_in');
