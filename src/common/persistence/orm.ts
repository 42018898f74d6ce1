import type { Constructor, EntityClass } from '@mikro-orm/core';
import { Migrator, type Migration } from '@mikro-orm/migrations';
import { defineConfig, type MikroORM, type Options } from '@mikro-orm/postgresql';
import { CompiledQuery, type DatabaseConnection } from 'kysely';
import pg from 'pg';
import { SESSION_NAME } from '../ops/process-id.js';

// Sequence numbers, byte offsets and counts stay far below 2^53: numbers, not texts, in every row.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** Advisory lock that one server holds while it migrates; the number is "kandev" in ASCII. */
const MIGRATION_LOCK = 0x6b_61_6e_64_65_76;

/**
 * A server that stands still in the middle of a transaction (a frozen machine, a debugger) must not keep its locks from
 * the one that takes over: PostgreSQL ends its session. Longer than anything of ours between two statements, and shorter
 * than a lease, so that the locks are gone when others come.
 */
const IDLE_IN_TRANSACTION_MS = 10_000;

/**
 * A connection that nobody uses is asked after this long whether it is still there: a network or a machine that went
 * without a word is noticed in seconds, and not when a statement has waited for it for a quarter of an hour.
 */
const KEEP_ALIVE_MS = 10_000;

export type Entities = readonly EntityClass<object>[];
export type Migrations = readonly { name: string; class: Constructor<Migration> }[];

/** MikroORM's options for a database and the modules' entities. */
export function ormOptions(
  url: string,
  entities: Entities,
  migrations: Migrations,
  poolSize: number,
  more: Options = {},
): Options {
  return defineConfig({
    ...more,
    clientUrl: url,
    entities: [...entities],
    extensions: [Migrator],
    migrations: {
      migrationsList: [...migrations],
      snapshot: false,
      silent: true,
      disableForeignKeys: false,
      tableName: 'migrations',
    },
    pool: { min: 1, max: poolSize },
    driverOptions: {
      application_name: SESSION_NAME,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    },
    // A statement and no parameter of the connection: poolers in between refuse those that they do not know.
    onCreateConnection: async (connection) => {
      const limit = CompiledQuery.raw(`set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`);
      await (connection as DatabaseConnection).executeQuery(limit);
    },
    forceUtcTimezone: true,
  }) as Options;
}

/** Brings the schema up to date; servers that start at the same moment wait for each other. */
export async function migrate(orm: MikroORM): Promise<number> {
  return orm.em.fork().transactional(async (em) => {
    // It waits for the migrations, which work on other connections and may take long.
    await em.execute('set local idle_in_transaction_session_timeout = 0');
    await em.execute('select pg_advisory_xact_lock(?)', [MIGRATION_LOCK]);
    return (await orm.migrator.up()).length;
  });
}
