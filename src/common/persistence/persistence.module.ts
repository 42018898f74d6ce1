import { Global, Logger, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { MikroORM } from '@mikro-orm/postgresql';
import { OutboxHandlers } from '../bus/outbox-handlers.js';
import { OutboxRelay } from '../bus/outbox-relay.js';
import { Housekeeping } from '../ops/housekeeping.js';
import { Workers } from '../ops/workers.js';
import { DatabaseNews } from './database-news.js';
import { migrate, ormOptions, type Entities, type Migrations } from './orm.js';
import { Transactions } from './transactions.js';

/** The database for every module: connection pool, transactions, outbox. Migrates while the server starts. */
@Global()
@Module({})
export class PersistenceModule implements OnApplicationShutdown {
  constructor(
    private readonly orm: MikroORM,
    private readonly transactions: Transactions,
  ) {}

  static forRoot(options: {
    url: string;
    entities: Entities;
    migrations: Migrations;
    max_conns: number;
  }): DynamicModule {
    return {
      module: PersistenceModule,
      providers: [
        {
          provide: MikroORM,
          useFactory: async () => {
            const orm = await MikroORM.init(
              ormOptions(options.url, options.entities, options.migrations, options.max_conns),
            );
            const applied = await migrate(orm);
            if (applied > 0) new Logger('Migrations').log(`applied ${applied} migrations`);
            return orm;
          },
        },
        Transactions,
        OutboxHandlers,
        OutboxRelay,
        DatabaseNews,
        Workers,
        Housekeeping,
      ],
      exports: [MikroORM, Transactions, DatabaseNews, OutboxHandlers, Workers, Housekeeping],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.transactions.close();
    await this.orm.close(true);
  }
}
