import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lines, MessageWorld, range, type TestAgent } from '../support/message-world.js';

Logger.overrideLogger(false); // it tells of each segment that goes

let world: MessageWorld;
let agent: TestAgent;

beforeEach(async () => {
  world = await MessageWorld.open();
  agent = await world.agent();
});
afterEach(() => world.close());

const closedDaysAgo = (segment: number, days: number) =>
  world.sql(`update message_segments set closed_at = now() - $2 * interval '1 day' where segment = $1`, [
    segment,
    days,
  ]);
const everything = () => world.seqs(agent.task_id, 100, 0);

describe('segments', () => {
  it('are rolled when they are old and hold something, with the next one standing ready', async () => {
    const retention = world.retention();
    await retention.run();
    expect(await world.segments()).toEqual({ known: [1], attached: [1, 2], tables: [1, 2] });
    await world.sql(`update message_segments set created_at = now() - interval '2 days'`);
    await retention.run();
    expect((await world.segments()).known).toEqual([1]); // nothing in it
    await world.append(agent, lines(5));
    await retention.run();
    expect(await world.segments()).toEqual({ known: [1, 2], attached: [1, 2, 3], tables: [1, 2, 3] });
    await world.append(agent, lines(5));
    expect(await world.sql(`select segment, first_seq from task_stream_segments order by 1`)).toEqual([
      { segment: 1, first_seq: 1 },
      { segment: 2, first_seq: 6 },
    ]);
    await retention.run(); // the second one is young
    expect((await world.segments()).known).toEqual([1, 2]);
    const [indexes] = await world.sql<{ same: boolean }>(
      `select count(distinct n) = 1 as same from (select count(*) n from pg_index where indrelid in
         ('acp_messages_s1'::regclass, 'acp_messages_s3'::regclass) group by indrelid) counts`,
    );
    expect(indexes).toEqual({ same: true });
  });

  it('are removed by age as a whole, the oldest first, without a dead row; streams begin after them', async () => {
    for (let i = 0; i < 3; i++) {
      await world.append(agent, lines(10));
      await world.roll();
    }
    await world.append(agent, lines(10));
    const late = await world.agent(); // nothing of it in the segments that go
    await world.append(late, lines(3));
    await closedDaysAgo(1, 92);
    await closedDaysAgo(2, 91);
    await closedDaysAgo(3, 89);
    await world.retention({ days: 0 }).run();
    expect((await world.segments()).known).toEqual([1, 2, 3, 4]);
    await world.retention({ days: 90 }).run();
    expect(await world.segments()).toEqual({ known: [3, 4], attached: [3, 4, 5], tables: [3, 4, 5] });
    expect(await world.head(agent.task_id)).toEqual({ head_seq: 40, first_seq: 21 });
    expect(await world.head(late.task_id)).toEqual({ head_seq: 3, first_seq: 1 });
    expect(await everything()).toEqual(range(21, 40));
    // A filtered reader behind that hears of nothing, and has to look at the head.
    expect(await world.read(agent.task_id, 5, 10, { types: ['log'], min_level: null })).toEqual({
      messages: [],
      through_seq: 5,
    });
    expect(await world.sql(`select distinct segment from task_stream_segments order by 1`)).toEqual([
      { segment: 3 },
      { segment: 4 },
    ]);
    await world.sql('select pg_stat_force_next_flush()');
    const dead = await world.sql(
      `select sum(n_dead_tup)::int as dead, sum(n_tup_del)::int as deleted from pg_stat_user_tables where relname ~ '^acp_messages'`,
    );
    expect(dead).toEqual([{ dead: 0, deleted: 0 }]);
    // All of it is too old, and numbers go on all the same.
    await world.roll();
    await closedDaysAgo(3, 91);
    await closedDaysAgo(4, 91);
    await world.retention({ days: 90 }).run();
    expect(await world.head(agent.task_id)).toEqual({ head_seq: 40, first_seq: 41 });
    expect(await world.append(agent, lines(1))).toBe(41);
    expect(await everything()).toEqual([41]);
  });

  it('are removed by size, the open one after it was rolled', async () => {
    const retention = world.retention({ bytes: 4 * 1024 * 1024 }); // so a segment may have one mebibyte
    const noise = () => Array.from({ length: 60 }, () => crypto.randomUUID()).join('');
    const some = () => Array.from({ length: 400 }, () => lines(1, { message: noise() })[0]!); // 900 KiB
    for (let i = 0; i < 9; i++) {
      await world.append(agent, some());
      await retention.run();
    }
    const { known, attached } = await world.segments();
    expect(known.length).toBeGreaterThan(1);
    expect(known[0]).toBeGreaterThan(1);
    expect(attached).toEqual([...known, known.at(-1)! + 1]);
    const { first_seq, head_seq } = await world.head(agent.task_id);
    expect(head_seq).toBe(3_600);
    expect(await everything()).toEqual(range(first_seq, 3_600));
    const [size] = await world.sql<{ bytes: number }>(
      `select sum(pg_total_relation_size(inhrelid))::int as bytes from pg_inherits where inhparent = 'acp_messages'::regclass`,
    );
    expect(size!.bytes).toBeLessThan(5 * 1024 * 1024);
    // A limit below one segment leaves the open one.
    await world.retention({ bytes: 1 }).run();
    expect((await world.segments()).known).toEqual([known.at(-1)]);
  });

  it('go with their task over all of them', async () => {
    const other = await world.agent();
    for (let i = 0; i < 3; i++) {
      await world.append(agent, lines(5));
      await world.append(other, lines(5));
      await world.roll();
    }
    await world.sql('delete from tasks where id = $1', [agent.task_id]);
    expect(await world.sql(`select distinct task_id from acp_messages`)).toEqual([{ task_id: other.task_id }]);
    expect(await world.sql(`select distinct task_id from task_stream_segments`)).toEqual([{ task_id: other.task_id }]);
    expect(await world.seqs(other.task_id)).toEqual(range(1, 15));
  });

  it('leave while somebody reads: that is waited for, nobody else waits, and a later turn ends it', async () => {
    await world.append(agent, lines(10));
    await world.roll();
    await world.append(agent, lines(10));
    await closedDaysAgo(1, 2);
    const reader = new pg.Client({ connectionString: world.database.url });
    await reader.connect();
    await reader.query('begin; select count(*) from acp_messages');
    const retention = world.retention({ days: 1 });
    retention.lockTimeoutMs = 1_000;
    const turn = retention.run(); // gives up
    for (let done = false; !done; await sleep(20)) {
      const begun = performance.now();
      await world.append(agent, lines(1));
      await world.read(agent.task_id, 11, 10);
      expect(performance.now() - begun).toBeLessThan(900);
      done = await Promise.race([turn.then(() => true), sleep(1, false)]);
    }
    expect((await world.segments()).tables).toEqual([1, 2, 3]);
    expect((await world.segments()).attached).toEqual([2, 3]); // it is leaving
    expect((await world.head(agent.task_id)).first_seq).toBe(11);
    await reader.query('commit');
    await reader.end();
    await world.retention({ days: 1 }).run();
    expect((await world.segments()).tables).toEqual([2, 3]);
  });
});

describe('whatever is killed, while messages are written', () => {
  it('nothing kept is lost or doubled, and the next turn ends what was begun', async () => {
    const agents = [agent, await world.agent(), await world.agent()];
    const rounds = 12;
    const apart = await world.database.apart(); // a connection that is ended must not be a reader's by then
    const work = { ends: false };
    const written = agents.map(async (writer) => {
      let head = 0;
      for (; !work.ends; await sleep(2), head += 7) expect(await world.append(writer, lines(7))).toBe(head + 1);
      return head;
    });
    const read = agents.map(async ({ task_id }) => {
      for (let at = 0; !work.ends; await sleep(1)) {
        const { messages } = await world.read(task_id, at, 50);
        const seqs = messages.map(({ seq }) => seq);
        // A gap only at the beginning, where segments went.
        if (seqs.length > 0) expect(seqs).toEqual(range(seqs[0]!, seqs.at(-1)!));
        at = seqs.at(-1) ?? at;
      }
    });
    for (let round = 0; round < rounds; round++) {
      await world.sql(`update message_segments set created_at = now() - interval '25 hours' where closed_at is null`);
      await world.sql(`update message_segments set closed_at = now() - interval '2 days' where closed_at is not null`);
      // Two servers at once, and one of them dies: its session ends in the middle of whatever it does.
      const turns = Promise.allSettled([0, 1].map(() => world.retention({ days: 1 }, apart).run()));
      await sleep(Math.random() * 25);
      if (round % 3 > 0) {
        await world.sql(
          `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and objsubid = 1
             and database = (select oid from pg_database where datname = current_database())`,
        );
      }
      await turns;
    }
    work.ends = true;
    const heads = await Promise.all(written);
    await Promise.all(read);
    for (let i = 0; i < 3; i++) await world.retention({ days: 1 }).run();
    const { known, attached, tables } = await world.segments();
    expect(known[0]).toBeGreaterThan(3);
    expect(attached).toEqual([...known, known.at(-1)! + 1]);
    expect(tables).toEqual(attached);
    for (const [i, { task_id }] of agents.entries()) {
      const { head_seq, first_seq } = await world.head(task_id);
      expect(head_seq).toBe(heads[i]);
      expect(await world.seqs(task_id, 500)).toEqual(range(first_seq, head_seq));
      const map = await world.sql<{ segment: number }>(
        `select segment from task_stream_segments where task_id = $1 order by segment`,
        [task_id],
      );
      expect(known).toEqual(expect.arrayContaining(map.map(({ segment }) => segment)));
      expect(await world.sql(`select count(*)::int as n from acp_messages where task_id = $1`, [task_id])).toEqual([
        { n: head_seq - first_seq + 1 },
      ]);
    }
  });
});
