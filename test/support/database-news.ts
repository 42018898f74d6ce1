import { MikroORM } from '@mikro-orm/postgresql';
import { Workers } from '../../src/common/ops/workers.js';
import { DatabaseNews } from '../../src/common/persistence/database-news.js';
import { ormOptions } from '../../src/common/persistence/orm.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { query } from './database.js';

/** What a server process has of the database's news, with connections of its own. */
export interface NewsProcess {
  news: DatabaseNews;
  close(): Promise<void>;
}

/** `start` says what it listens to. */
export async function openNews(
  url: string,
  start: (news: DatabaseNews) => void = () => undefined,
): Promise<NewsProcess> {
  const orm = await MikroORM.init(ormOptions(url, [], [], 5, { discovery: { warnWhenNoEntities: false } }));
  const news = new DatabaseNews(orm, new Transactions(orm), new Workers());
  start(news);
  news.start();
  const close = async (): Promise<void> => {
    await news.stop();
    await orm.close();
  };
  return { news, close };
}

/** Ends every connection that listens to the channel; returns how many there were. */
export async function deafen(url: string, channel: string): Promise<number> {
  const text = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and query ~ $1`;
  return (await query(url, text, [`^listen .*${channel}`])).length;
}
