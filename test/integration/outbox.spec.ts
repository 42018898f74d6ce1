import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DomainEvent } from '../../src/common/bus/contracts.js';
import { OutboxHandlers, type DeliveredEvent } from '../../src/common/bus/outbox-handlers.js';
import { OutboxRelay } from '../../src/common/bus/outbox-relay.js';
import { Workers } from '../../src/common/ops/workers.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';
import { until } from '../support/until.js';

class SomethingHappened extends DomainEvent<{ n: number }> {
  readonly topic = 'test.something';
}

let database: TestDatabase;
let handlers: OutboxHandlers;
let relays: OutboxRelay[];

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await openTestDatabase();
});

afterAll(() => database.close());

beforeEach(() => {
  handlers = new OutboxHandlers();
  relays = [];
});

afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.stop()));
  await query(database.url, 'delete from outbox_events');
});

function start(count = 1, handlerMs?: number): void {
  const make = () => new OutboxRelay(database.transactions, handlers, new Workers(), handlerMs);
  relays = Array.from({ length: count }, make);
  for (const relay of relays) relay.start();
}

const emit = (n: number, aggregate_id: string = crypto.randomUUID()) =>
  database.transactions.run((tx) => {
    tx.emit(new SomethingHappened(aggregate_id, 1, { n }));
    return Promise.resolve();
  });
const waiting = async () => (await query(database.url, 'select id from outbox_events')).length;

describe('the outbox', () => {
  it('delivers what was committed, and nothing that was rolled back', async () => {
    const seen: DeliveredEvent[] = [];
    handlers.on('test.something', (event) => Promise.resolve(void seen.push(event)));
    start();
    await emit(1);
    await expect(
      database.transactions.run((tx) => {
        tx.emit(new SomethingHappened(crypto.randomUUID(), 1, { n: 2 }));
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await emit(3);
    await until('both events', () => seen.length >= 2);
    await until('an empty outbox', async () => (await waiting()) === 0);
    expect(seen.map(({ data }) => data['n'])).toEqual([1, 3]);
    expect(seen[0]).toMatchObject({ topic: 'test.something', aggregate_seq: 1 });
  });

  it('gives an event again to a handler that failed, and does not hold up the others', async () => {
    const seen: unknown[] = [];
    let failures = 1;
    handlers.on('test.something', ({ data }) => {
      if (data['n'] === 1 && failures-- > 0) return Promise.reject(new Error('not yet'));
      return Promise.resolve(void seen.push(data['n']));
    });
    await emit(1);
    await emit(2);
    start();
    await until('both events', () => seen.length === 2);
    expect(seen).toEqual([2, 1]);
    await until('an empty outbox', async () => (await waiting()) === 0);
  });

  it('gives it to the other handlers of its topic all the same', async () => {
    const seen: unknown[] = [];
    let failures = 1;
    handlers.on('test.something', () => (failures-- > 0 ? Promise.reject(new Error('not yet')) : Promise.resolve()));
    handlers.on('test.something', ({ data }) => Promise.resolve(void seen.push(data['n'])));
    await emit(1);
    start();
    await until('an empty outbox', async () => (await waiting()) === 0);
    expect(seen).toEqual([1, 1]); // before the first one can, and again with it
  });

  it('delivers others past more events that nobody can handle than it takes at a time', async () => {
    const seen: unknown[] = [];
    handlers.on('test.something', ({ data }) => {
      if (Number(data['n']) < 120) return Promise.reject(new Error('never'));
      return Promise.resolve(void seen.push(data['n']));
    });
    await database.transactions.run((tx) => {
      for (let n = 0; n < 121; n++) tx.emit(new SomethingHappened(crypto.randomUUID(), 1, { n }));
      return Promise.resolve();
    });
    start();
    await until('the last one', () => seen.length > 0);
    expect(seen).toEqual([120]);
    const later = await query(database.url, 'select 1 from outbox_events where attempts > 0');
    expect(later).toHaveLength(120);
  });

  it('is emptied by several relays together, each event by one', async () => {
    const seen: unknown[] = [];
    handlers.on('test.something', ({ data }) => Promise.resolve(void seen.push(data['n'])));
    for (let n = 0; n < 200; n++) await emit(n);
    start(4);
    await until('all events', () => seen.length >= 200);
    await until('an empty outbox', async () => (await waiting()) === 0);
    expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 200 }, (_, n) => n));
  });

  it('does not wait for a handler that hangs: others get theirs, and it is not called twice at once', async () => {
    const seen: unknown[] = [];
    const hung = Promise.withResolvers<void>();
    let calls = 0;
    handlers.on('test.something', ({ data }) => {
      if (data['n'] === 1) return (calls++, hung.promise);
      return Promise.resolve(void seen.push(data['n']));
    });
    await emit(1);
    start(1, 100);
    await until('the handler to hang', () => calls === 1);
    await emit(2); // while it does
    await until('the other event', () => seen.length === 1);
    const postponed = async () =>
      (await query<{ attempts: number }>(database.url, 'select attempts from outbox_events'))[0];
    await until('the event to have come again', async () => ((await postponed())?.attempts ?? 0) >= 2);
    expect(calls).toBe(1);
    hung.resolve();
    await until('an empty outbox', async () => (await waiting()) === 0);
    expect([calls, seen]).toEqual([1, [2]]); // it has ended well, late
  });

  it('delivers others beside more events that hang than it takes at a time, and ends all the same', async () => {
    const seen: unknown[] = [];
    handlers.on('test.something', ({ data }) => {
      if (Number(data['n']) < 60) return new Promise(() => undefined);
      return Promise.resolve(void seen.push(data['n']));
    });
    await database.transactions.run((tx) => {
      for (let n = 0; n < 61; n++) tx.emit(new SomethingHappened(crypto.randomUUID(), 1, { n }));
      return Promise.resolve();
    });
    start(1, 200);
    await until('the last one', () => seen.length > 0);
    expect(seen).toEqual([60]);
  });

  it('begins no event of what it is still telling another event of, while others get theirs', async () => {
    const seen: unknown[] = [];
    const slow = Promise.withResolvers<void>();
    handlers.on('test.something', async ({ data }) => {
      seen.push(data['n']);
      if (data['n'] === 1) await slow.promise;
    });
    const aggregate = crypto.randomUUID();
    await emit(1, aggregate);
    start();
    await until('the first', () => seen.length === 1);
    await emit(2, aggregate);
    await emit(3);
    await until('another batch to have delivered', async () => (await waiting()) === 2);
    expect(seen).toEqual([1, 3]);
    slow.resolve();
    await until('an empty outbox', async () => (await waiting()) === 0);
    expect(seen).toEqual([1, 3, 2]);
  });

  it('lets go of events that nobody wants', async () => {
    start();
    await emit(1);
    await until('an empty outbox', async () => (await waiting()) === 0);
  });
});
