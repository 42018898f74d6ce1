import { MikroORM } from '@mikro-orm/postgresql';
import { migrations } from '../../migrations/index.js';
import { entities } from '../../src/app.module.js';
import { ormOptions } from '../../src/common/persistence/orm.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { createDatabase, query } from './database.js';

/** A database of its own with what use cases need of it. */
export interface TestDatabase {
  url: string;
  transactions: Transactions;
  /** Connections of their own, as another server has them. */
  apart(): Promise<Transactions>;
  /** Ids of a task and its board that rows may refer to. */
  task(): Promise<{ task_id: string; board_id: string }>;
  close(): Promise<void>;
}

export async function openTestDatabase(): Promise<TestDatabase> {
  const database = await createDatabase();
  const connect = () => MikroORM.init(ormOptions(database.url, entities, migrations, 10));
  const orm = await connect();
  const others: MikroORM[] = [];
  const insert = (sql: string, values: unknown[]) => query(database.url, sql, values);
  const user = crypto.randomUUID();
  const board_id = crypto.randomUUID();
  await insert(`insert into users (id, email, username, password_hash) values ($1, 'a@example.com', 'a', 'x')`, [user]);
  await insert(`insert into boards (id, name, owner_id) values ($1, 'board', $2)`, [board_id, user]);
  return {
    url: database.url,
    transactions: new Transactions(orm),
    apart: async () => {
      const other = await connect();
      others.push(other);
      return new Transactions(other);
    },
    task: async () => {
      const task_id = crypto.randomUUID();
      await insert(`insert into tasks (id, board_id, title, description, created_by) values ($1, $2, 't', 'd', $3)`, [
        task_id,
        board_id,
        user,
      ]);
      return { task_id, board_id };
    },
    close: async () => {
      for (const each of [orm, ...others]) await each.close();
      await database.drop();
    },
  };
}
