import type { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Actor } from '../../src/common/auth/actor.js';
import type { Authenticator } from '../../src/common/auth/authenticator.js';
import { DomainError } from '../../src/common/errors/domain-error.js';
import { DownloadMessagesHandler, DownloadMessagesQuery } from '../../src/modules/agent/app/download-messages.js';
import { DownloadSlots } from '../../src/modules/agent/app/download-slots.js';
import { lines, MessageWorld, range, type TestAgent } from '../support/message-world.js';
import { until } from '../support/until.js';

let world: MessageWorld;

beforeAll(async () => {
  world = await MessageWorld.open();
});
afterAll(() => world.close());
afterEach(() => void vi.useRealTimers());

const seqs = ({ messages }: { messages: { seq: number }[] }) => messages.map(({ seq }) => seq);

describe('a page of a replay', () => {
  it('goes on after what was removed, and says from where on messages are kept', async () => {
    const [first, other] = [await world.agent(), await world.agent()];
    const second = await world.agent(first);
    await world.append(first, lines(5));
    await world.roll();
    await world.append(first, lines(5));
    await world.append(second, lines(5));
    await world.roll();
    await world.append(other, lines(1));
    expect(await world.replayPage(first.run_id, 0, 100)).toMatchObject({ last_seq: 10, kept_from: 1 });
    // Everything but the open segment is over; the first one goes, then the second one.
    const drop = async (segment: number) => {
      await world.sql(`delete from task_stream_segments where segment = ${segment}`);
      await world.sql(`truncate acp_messages_s${segment}`);
    };
    await drop(1);
    const cut = await world.replayPage(first.run_id, 2, 100);
    expect([seqs(cut), cut.last_seq, cut.kept_from]).toEqual([range(6, 10), 10, 6]);
    const whole = await world.replayPage(second.run_id, 0, 100);
    expect([seqs(whole), whole.last_seq, whole.kept_from]).toEqual([range(11, 15), 15, 6]);
    await drop(2);
    expect(await world.replayPage(first.run_id, 8, 100)).toEqual({ messages: [], last_seq: 0, kept_from: 16 });
  });
});

describe('reads that may cost much', () => {
  it('leave most connections to others, wait in a short line, and are refused beyond', async () => {
    const { transactions } = world.database;
    let [running, most] = [0, 0];
    const { promise: end, resolve: letGo } = Promise.withResolvers<void>();
    const read = () =>
      transactions.fenced(async (db) => {
        most = Math.max(most, ++running);
        await end;
        await sql`select 1`.execute(db);
        running--;
      });
    const reads = Array.from({ length: 60 }, read).map((done) =>
      done.then(
        () => 'done',
        (error: DomainError) => error,
      ),
    );
    await until('some to run', () => running === 4);
    const refused = await Promise.race(reads);
    expect(refused).toMatchObject({
      kind: 'unavailable',
      code: 'request.too_slow',
      details: { retry_after_seconds: 5 },
    });
    expect((await sql`select 1 as n`.execute(transactions.kysely())).rows).toEqual([{ n: 1 }]);
    letGo();
    const answers = await Promise.all(reads);
    expect(answers.filter((answer) => answer === 'done')).toHaveLength(36);
    expect(most).toBe(4);
  });
});

describe('downloads', () => {
  const actor: Actor = { user_id: 'ann', role: 'member' };
  const wish = { after_seq: 0, run_id: null, types: null, min_level: null };
  let agent: TestAgent;
  let refusal: DomainError | null = null;
  let slots: DownloadSlots;
  let handler: DownloadMessagesHandler;

  beforeAll(async () => {
    agent = await world.agent();
    await world.append(agent, lines(1_200));
    slots = new DownloadSlots();
    const queries = { execute: () => Promise.resolve() } as unknown as QueryBus;
    const authenticator = { recheck: () => Promise.resolve([refusal]) } as unknown as Authenticator;
    handler = new DownloadMessagesHandler(world.pages, queries, slots, authenticator);
  });

  const download = (by = actor, task_id = agent.task_id) =>
    handler.execute(new DownloadMessagesQuery(by, task_id, wish));

  it('end with the sign-in', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { pieces, release } = await download();
    const reading = pieces[Symbol.asyncIterator]();
    await reading.next();
    vi.setSystemTime(Date.now() + 6_000);
    expect((await reading.next()).done).toBe(false);
    refusal = new DomainError('unauthenticated', 'auth.session_ended', 'You have signed out.');
    vi.setSystemTime(Date.now() + 6_000);
    await expect(reading.next()).rejects.toMatchObject({ code: 'auth.session_ended' });
    release();
    refusal = null;
  });

  it('are bounded, of a user and in all, and leave their places', async () => {
    const mine = await Promise.all(Array.from({ length: 4 }, () => download()));
    await expect(download()).rejects.toMatchObject({
      ...{ kind: 'too_many_requests', code: 'download.too_many', details: { retry_after_seconds: 10 } },
    });
    const others = await Promise.all(
      Array.from({ length: 28 }, (_, n) => download({ user_id: `user ${n % 7}`, role: 'member' })),
    );
    await expect(download({ user_id: 'bob', role: 'member' })).rejects.toMatchObject({ code: 'download.too_many' });
    mine[0]!.release();
    mine[0]!.release();
    mine[0] = await download();
    await expect(download()).rejects.toMatchObject({ code: 'download.too_many' });
    for (const { release } of [...mine, ...others]) release();
    expect(slots.taken).toBe(0);
    (await download()).release();
    expect(slots.taken).toBe(0);
  });
});
