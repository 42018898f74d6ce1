import { MikroORM } from '@mikro-orm/postgresql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ormOptions } from '../../src/common/persistence/orm.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { MemoryCounters } from '../../src/common/rate-limit/memory-counters.js';
import { PostgresCounters } from '../../src/common/rate-limit/postgres-counters.js';
import { RateLimit } from '../../src/common/rate-limit/rate-limit.entity.js';
import { RateLimiter } from '../../src/common/rate-limit/rate-limiter.js';
import { createDatabase, query } from '../support/database.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let orm: MikroORM;
let counters: PostgresCounters;

beforeAll(async () => {
  database = await createDatabase();
  orm = await MikroORM.init(ormOptions(database.url, [RateLimit], [], 10));
  counters = new PostgresCounters(new Transactions(orm));
});

afterAll(async () => {
  await orm.close(true);
  await database.drop();
});

const pass = (seconds: number) =>
  query(database.url, `update rate_limits set window_ends_at = window_ends_at - make_interval(secs => $1)`, [seconds]);

describe('shared counters', () => {
  it('miss nothing when many processes count at once', async () => {
    const limiters = [1, 2, 3].map(() => new RateLimiter(counters, new MemoryCounters()));
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => limiters[i % limiters.length]!.hit('many', 25, 60)),
    );
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(25);
    expect(new Set(answers.filter(({ allowed }) => allowed).map(({ remaining }) => remaining)).size).toBe(25);
    expect(answers.find(({ allowed }) => !allowed)?.retry_after_seconds).toBeGreaterThan(50);
  });

  it('keep hashes of keys only', async () => {
    await new RateLimiter(counters, new MemoryCounters()).hit('login:someone@example.com', 1, 60);
    const rows = await query<{ key: string }>(database.url, 'select key from rate_limits');
    expect(rows.every(({ key }) => /^[\w-]{43}$/.test(key))).toBe(true);
  });

  it('begin again when their window is over, and are swept then', async () => {
    const first = await counters.hit('window', 60);
    expect(first.hits).toBe(1);
    expect(first.resets_in).toBeGreaterThan(59);
    expect(await counters.hit('window', 60)).toMatchObject({ hits: 2 });
    expect(await counters.peek('window', 60)).toMatchObject({ hits: 2 });
    await pass(61);
    expect(await counters.peek('window', 60)).toEqual({ hits: 0, resets_in: 60 });
    expect(await counters.hit('window', 60)).toMatchObject({ hits: 1 });
    await pass(61);
    await counters.sweep();
    expect(await query(database.url, 'select 1 from rate_limits')).toEqual([]);
  });

  it('are forgotten on reset', async () => {
    await counters.hit('reset', 60);
    await counters.reset('reset');
    expect(await counters.peek('reset', 60)).toMatchObject({ hits: 0 });
  });
});
