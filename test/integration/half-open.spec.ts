import { MikroORM } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrations } from '../../migrations/index.js';
import { entities } from '../../src/app.module.js';
import { isDatabaseAway } from '../../src/common/persistence/database-errors.js';
import { ormOptions } from '../../src/common/persistence/orm.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { URGENT_MS } from '../../src/common/persistence/urgent-connection.js';
import { LEASE_SECONDS } from '../../src/modules/orchestrator/app/run-rows.js';
import { createDatabase } from '../support/database.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let proxy: TcpProxy;
let orm: MikroORM;
let transactions: Transactions;
/** Nothing that PostgreSQL says arrives, and no connection ends: it went without a word. */
let deaf = false;
/** Connections that are open, by when they were made. */
const open = new Set<number>();

beforeAll(async () => {
  database = await createDatabase();
  proxy = await TcpProxy.open(Number(new URL(database.url).port || 5432));
  let made = 0;
  proxy.wire = (_cut, ended) => {
    const id = made++;
    open.add(id);
    void ended.then(() => open.delete(id));
    return { up: (bytes) => bytes, down: (bytes) => (deaf ? Buffer.alloc(0) : bytes) };
  };
  // One connection in the pool: whoever hangs on it keeps all others of the pool.
  orm = await MikroORM.init(ormOptions(proxy.through(database.url), entities, migrations, 1));
  transactions = new Transactions(orm);
});

afterAll(async () => {
  await transactions.close();
  await proxy.close();
  await orm.close(true);
  await database.drop();
});

const ask = () => transactions.urgent<{ n: number }>(sql<{ n: number }>`select 1 as n`.compile(transactions.kysely()));

describe('a statement that has to be in time', () => {
  it('has a connection of its own, is given up with it, and goes on with another one', async () => {
    expect(await ask()).toEqual([{ n: 1 }]);
    let isAnswered = false;
    deaf = true;
    const usual = sql`select 1`.execute(transactions.kysely()).then(() => (isAnswered = true)); // hangs in the pool
    usual.catch(() => undefined);
    const [own] = open;
    const begun = performance.now();
    const error = await ask().catch((reason: unknown) => reason);
    expect(isDatabaseAway(error)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(URGENT_MS + 2_000);
    expect(3 * URGENT_MS).toBeLessThan(LEASE_SECONDS * 1000); // three of them are tried within a lease
    await until('its connection to be ended', () => !open.has(own!));
    expect(isAnswered).toBe(false);
    deaf = false;
    expect(await ask()).toEqual([{ n: 1 }]); // although the other one still hangs
    expect(isAnswered).toBe(false);
    proxy.cutAll();
    await usual.catch(() => undefined);
  });
});
