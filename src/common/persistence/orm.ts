import type { Constructor, EntityClass } from '@mikro-orm/core';
import { Migrator, type Migration } from '@mikro-orm/migrations';
import { defineConfig, type MikroORM, type Options } from '@mikro-orm/postgresql';
import pg from 'pg';

// Sequence numbers, byte offsets and counts stay far below 2^53: numbers, not texts, in every row.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** Advisory lock that one server holds while it migrates; the number is "kandev" in ASCII. */
const MIGRATION_LOCK = 0x6b_61_6e_64_65_76;

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
    driverOptions: { application_name: `kandev-${process.pid}` },
    forceUtcTimezone: true,
  }) as Options;
}

/** Brings the schema up to date; servers that start at the same moment wait for each other. */
export async function migrate(orm: MikroORM): Promise<number> {
  return orm.em.fork().transactional(async (em) => {
    await em.execute('select pg_advisory_xact_lock(?)', [MIGRATION_LOCK]);
    return (await orm.migrator.up()).length;
  });
}
