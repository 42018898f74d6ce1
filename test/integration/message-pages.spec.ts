import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Transactions } from '../../src/common/persistence/transactions.js';
import { caveatsOf } from '../../src/modules/agent/app/journal-messages.js';
import { MessagePages } from '../../src/modules/agent/app/message-pages.js';
import type { AgentInstance } from '../../src/modules/agent/domain/agent-instance.entity.js';
import { lines, MessageWorld, range, type TestAgent } from '../support/message-world.js';

let world: MessageWorld;

beforeAll(async () => {
  world = await MessageWorld.open();
});
afterAll(() => world.close());

const seqs = (page: { messages: { seq: number }[] }) => page.messages.map(({ seq }) => seq);

describe('a page of a stream', () => {
  let agent: TestAgent;
  let other: TestAgent;

  beforeAll(async () => {
    // Segments 1 to 4: of the first task 1–30 | none | 31–60 | 61–70, of the other one something in each.
    agent = await world.agent();
    other = await world.agent();
    for (const count of [30, 0, 30, 10]) {
      if ((await world.head(other.task_id)).head_seq > 0) await world.roll();
      await world.append(other, lines(5));
      await world.append(agent, lines(count));
    }
    expect((await world.segments()).known).toEqual([1, 2, 3, 4]);
  });

  it('goes on over segments, also over one without any, in order and without a gap', async () => {
    expect(seqs(await world.read(agent.task_id, 0, 100))).toEqual(range(1, 70));
    expect(seqs(await world.read(agent.task_id, 25, 10))).toEqual(range(26, 35));
    expect(seqs(await world.read(agent.task_id, 30, 30))).toEqual(range(31, 60));
    expect(seqs(await world.read(agent.task_id, 59, 5))).toEqual(range(60, 64));
    for (const page of [1, 7, 30, 31]) expect(await world.seqs(agent.task_id, page)).toEqual(range(1, 70));
  });

  it('says how far it looked', async () => {
    expect(await world.read(agent.task_id, 70, 10)).toEqual({ messages: [], through_seq: 70 });
    expect(await world.read(agent.task_id, 5_000, 10)).toEqual({ messages: [], through_seq: 5_000 });
    expect(await world.read(crypto.randomUUID(), 0, 10)).toEqual({ messages: [], through_seq: 0 });
    expect((await world.read(agent.task_id, 0, 10)).through_seq).toBe(10);
  });

  it('has the wire form of what was appended', async () => {
    const data = { b: 1, a: 'ü"\\\u0001', message: 'x' };
    const timestamp = '2026-01-09T10:30:15.120Z';
    const seq = await world.append(agent, [{ type: 'error', level: 'error', timestamp, data }]);
    const [message] = (await world.read(agent.task_id, seq - 1, 1)).messages;
    expect(message).toMatchObject({ seq, type: 'error', level: 'error' });
    expect(message!.json).toBe(
      `{"type":"error","timestamp":"${timestamp}","agent_id":"${agent.agent_id}","task_id":"${agent.task_id}",` +
        `"run_id":"${agent.run_id}","seq":${seq},"data":${JSON.stringify(data)}}`,
    );
  });

  it('is a table of logs under the names of one', async () => {
    const { agent_id } = await world.agent();
    const timestamp = new Date().toISOString();
    const data = { level: 'warn', message: 'said', metadata: { file: 'x' } };
    const own = { ...agent, agent_id };
    const log = { type: 'log', level: 'warn', timestamp, data } as const;
    const id = await world.append(own, [log, { type: 'progress', level: null, timestamp, data }]);
    const rows = await world.sql(`select * from agent_logs where agent_instance_id = $1`, [agent_id]);
    expect(rows).toEqual([
      {
        ...{ id, agent_instance_id: agent_id, log_level: 'warn', message: 'said' },
        ...{ metadata: data.metadata, created_at: expect.any(Date) as Date },
      },
    ]);
  });

  it('is read from one partition of many', async () => {
    // In a transaction PostgreSQL keeps a lock on each table that a statement was planned with.
    const used = await world.database.transactions.run(async (tx) => {
      const pages = new MessagePages({ kysely: () => tx.kysely() } as unknown as Transactions);
      expect(seqs(await pages.read({ task_id: agent.task_id, after_seq: 40, limit: 10 }))).toEqual(range(41, 50));
      const { rows } = await sql<{ name: string }>`select distinct relation::regclass::text as name from pg_locks
        where pid = pg_backend_pid() and relation::regclass::text ~ '^acp_messages_s[0-9]+$'`.execute(tx.kysely());
      return rows.map(({ name }) => name);
    });
    expect(used).toEqual(['acp_messages_s3']);
    const where = `segment = 3 and task_id = '${agent.task_id}' and seq > 40 and seq <= 60`;
    const plan = await world.sql<object>(`explain select data from acp_messages where ${where} order by seq limit 10`);
    const text = JSON.stringify(plan);
    expect(text).toContain('Index Scan using acp_messages_s3_pkey');
    expect(text).not.toMatch(/acp_messages_s[^3]|Sort/);
  });

  it('of large messages has few of them, and of a flood of small ones all that were asked for', async () => {
    const flood = await world.agent();
    await world.append(flood, lines(3));
    for (let i = 0; i < 12; i++) await world.append(flood, lines(1, { message: `${i}`.repeat(1_048_576) }));
    await world.append(flood, lines(3, { message: 'y'.repeat(5_000) }));
    await world.append(flood, lines(40));
    const sizes: number[] = [];
    for (let at = 0; at < 58;) {
      const page = await world.read(flood.task_id, at, 500);
      expect(seqs(page)).toEqual(range(at + 1, page.through_seq));
      sizes.push(page.messages.reduce((sum, { json }) => sum + json.length, 0));
      at = page.through_seq;
    }
    expect(Math.max(...sizes)).toBeLessThan(6 * 1024 * 1024);
    expect(sizes.length).toBeLessThan(10);
  });
});

describe('what a launch has told', () => {
  it('is found among whatever the agent calls a status of its own', async () => {
    const agent = await world.agent();
    const status = (source: string, missing: string) =>
      lines(1, {
        ...{ type: 'status', level: null },
        data: { status: 'STARTING', phase: 'launch', source, mounts_not_granted: [missing] },
      });
    await world.append(agent, [...status('server', 'ssh_agent'), ...range(1, 30).flatMap(() => status('agent', 'x'))]);
    const instance = { id: agent.agent_id, runtime: 'docker', sandbox: null } as unknown as AgentInstance;
    const caveats = await world.database.transactions.run((tx) => caveatsOf(tx, instance));
    expect(caveats).toEqual({ mounts_not_granted: ['ssh_agent'] });
  });
});

describe('a filtered page', () => {
  let agent: TestAgent;

  beforeAll(async () => {
    agent = await world.agent();
    await world.append(agent, [
      ...lines(1, { level: 'debug' }),
      ...lines(1, { level: 'warn' }),
      ...lines(1, { type: 'progress', level: null }),
      ...lines(1, { type: 'error', level: 'error' }),
      ...lines(1),
    ]);
    await world.roll();
    await world.append(agent, [...lines(2), ...lines(1, { type: 'result', level: null }), ...lines(2)]);
  });

  it('has what passes, and looks on to the end', async () => {
    const read = (types: Parameters<MessageWorld['read']>[3], after = 0, limit = 100) =>
      world.read(agent.task_id, after, limit, types);
    const warn = await read({ types: null, min_level: 'warn' });
    expect([seqs(warn), warn.through_seq]).toEqual([[2, 3, 4, 8], 10]);
    const logs = await read({ types: ['log'], min_level: 'warn' });
    expect([seqs(logs), logs.through_seq]).toEqual([[2], 10]);
    const two = await read({ types: ['result', 'error'], min_level: null }, 0, 1);
    expect([seqs(two), two.through_seq]).toEqual([[4], 4]);
    const next = await read({ types: ['result', 'error'], min_level: null }, 4, 1);
    expect([seqs(next), next.through_seq]).toEqual([[8], 8]);
    const end = await read({ types: ['result', 'error'], min_level: null }, 8, 1);
    expect([seqs(end), end.through_seq]).toEqual([[], 10]);
    expect(await read({ types: ['heartbeat'], min_level: null }, 10)).toEqual({ messages: [], through_seq: 10 });
    expect(seqs(await read({ types: null, min_level: null }))).toEqual(range(1, 10));
  });

  it('goes on where nothing passes for long, and looks at a bounded number of messages', async () => {
    const flood = await world.agent();
    for (let i = 0; i < 9; i++) await world.append(flood, lines(5_000));
    await world.append(flood, lines(1, { type: 'result', level: null }));
    const filter = { types: ['result' as const], min_level: null };
    const through: number[] = [];
    let found: number[] = [];
    for (let at = 0; at < 45_001;) {
      const page = await world.read(flood.task_id, at, 10, filter);
      found = [...found, ...seqs(page)];
      through.push((at = page.through_seq));
    }
    expect(through).toEqual([20_000, 40_000, 45_001]);
    expect(found).toEqual([45_001]);
  });
});

describe('a replay', () => {
  it('has the messages of one run with the times they were stored at, over segments and among other runs', async () => {
    const first = await world.agent();
    const second = await world.agent(first);
    await world.append(first, lines(3));
    await world.append(second, lines(2));
    await world.roll();
    await world.append(first, lines(1));
    await world.append(second, lines(4));
    const before = Date.now();
    expect((await world.replay(first.run_id, 0, 100)).map(({ seq }) => seq)).toEqual([1, 2, 3, 6]);
    const page = await world.replay(second.run_id, 0, 4);
    expect(page.map(({ seq }) => seq)).toEqual([4, 5, 7, 8]);
    expect((await world.replay(second.run_id, 8, 4)).map(({ seq }) => seq)).toEqual([9, 10]);
    expect(await world.replay(second.run_id, 10, 4)).toEqual([]);
    expect(await world.replay(crypto.randomUUID(), 0, 4)).toEqual([]);
    for (const { stored_at_ms, json } of page) {
      expect(Math.abs(stored_at_ms - before)).toBeLessThan(10_000);
      expect(JSON.parse(json)).toMatchObject({ run_id: second.run_id });
    }
  });
});
