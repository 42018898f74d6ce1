import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { MikroORM } from '@mikro-orm/postgresql';
import type { EventBus } from '@nestjs/cqrs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrations } from '../../migrations/index.js';
import { entities } from '../../src/app.module.js';
import type { Config } from '../../src/common/config/config.js';
import { ormOptions } from '../../src/common/persistence/orm.js';
import { Transactions } from '../../src/common/persistence/transactions.js';
import { Fenced } from '../../src/modules/agent/app/agent-rows.js';
import { MessageLog } from '../../src/modules/agent/app/message-log.js';
import { OutputCapture } from '../../src/modules/agent/app/output-capture.js';
import type { MessagesAppendedEvent } from '../../src/modules/agent/contracts/agent.events.js';
import { AgentClock } from '../../src/modules/agent/domain/agent-clock.js';
import { Redactor } from '../../src/modules/agent/domain/redaction.js';
import { HostRunDirectories } from '../../src/modules/agent/infra/files/host-run-directories.js';
import { commitCutter } from '../support/commit-cutter.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';

const HOUR_S = 3600;
const NEVER = (): never => {
  throw new Error('no limit is broken here');
};

let database: TestDatabase;
let proxy: TcpProxy;
/** Through the proxy. */
let orm: MikroORM;
let directory: string;
let agent: { id: string; task_id: string; run_id: string };
let written = 0;
let told: number[] = [];

beforeAll(async () => {
  Logger.overrideLogger(false); // it tells of each connection that breaks
  database = await openTestDatabase();
  proxy = await TcpProxy.open(Number(new URL(database.url).port));
  orm = await MikroORM.init(ormOptions(proxy.through(database.url), entities, migrations, 3));
  directory = mkdtempSync(join(tmpdir(), 'kandev-capture-'));
});

afterAll(async () => {
  await orm.close();
  await proxy.close();
  await database.close();
  rmSync(directory, { recursive: true });
});

beforeEach(async () => {
  const { task_id, board_id } = await database.task();
  agent = { id: randomUUID(), task_id, run_id: randomUUID() };
  await query(database.url, `insert into runs (id, task_id, board_id, agent_type) values ($1, $2, $3, 'demo-agent')`, [
    ...[agent.run_id, task_id, board_id],
  ]);
  await query(
    database.url,
    `insert into agent_instances (id, task_id, board_id, run_id, attempt, epoch, agent_type, runtime, image_name, status)
     values ($1, $2, $3, $4, 1, 1, 'demo-agent', 'process', 'a', 'RUNNING')`,
    [agent.id, task_id, board_id, agent.run_id],
  );
  mkdirSync(join(directory, agent.id));
  for (const name of ['out', 'err']) writeFileSync(join(directory, agent.id, name), '');
  [written, told] = [0, []];
});

/** Claims the attempt for a capture, as a server does that takes it over. */
async function take(epoch: number): Promise<OutputCapture> {
  const [row] = await query<{ stdout_offset: string; stderr_offset: string }>(
    database.url,
    'update agent_instances set epoch = $2 where id = $1 returning stdout_offset, stderr_offset',
    [agent.id, epoch],
  );
  const at = { stdout_offset: Number(row?.stdout_offset), stderr_offset: Number(row?.stderr_offset) };
  const hear = { publish: ({ messages }: MessagesAppendedEvent) => told.push(...messages.map(({ seq }) => seq)) };
  return new OutputCapture(
    { task_id: agent.task_id, run_id: agent.run_id, agent_id: agent.id, epoch, ...at },
    {
      transactions: new Transactions(orm),
      log: new MessageLog(hear as unknown as EventBus),
      runDirectories: new HostRunDirectories({ runs_directory: directory } as Config),
      redactor: Redactor.none,
      breach: NEVER,
      limits: {
        max_output_bytes: Number.MAX_SAFE_INTEGER,
        inactivity_timeout_seconds: HOUR_S,
        wall_clock_timeout_seconds: HOUR_S,
      },
      failures: { inactive: NEVER, outOfTime: NEVER },
      clock: new AgentClock({ started_at: new Date(), paused_ms: 0 }),
    },
  );
}

const on = new AbortController().signal;

function write(lines: number): void {
  appendFileSync(join(directory, agent.id, 'out'), Array.from({ length: lines }, () => `line ${++written}\n`).join(''));
}

async function storedLines(): Promise<{ seq: number; message: string }[]> {
  const rows = await query<{ seq: string; message: string }>(
    database.url,
    `select seq, data ->> 'message' as message from acp_messages where task_id = $1 order by seq`,
    [agent.task_id],
  );
  return rows.map(({ seq, message }) => ({ seq: Number(seq), message }));
}

async function expectEveryLineOnce(): Promise<void> {
  const expected = Array.from({ length: written }, (_, n) => ({ seq: n + 1, message: `line ${n + 1}` }));
  expect(await storedLines()).toEqual(expected);
}

describe('the output of an attempt', () => {
  it('is stored once where servers take it from each other in mid-flood', async () => {
    write(3_000);
    const fates: Promise<unknown>[] = [];
    let last: OutputCapture | undefined;
    for (let epoch = 1; epoch <= 8; epoch++) {
      last = await take(epoch);
      fates.push(last.run(on).catch((error: unknown) => error));
      const before = (await storedLines()).length;
      for (let n = 0; n < 10; n++) write(200);
      await until('this one to store something', async () => (await storedLines()).length > before);
    }
    last?.agentHasEnded();
    const ends = await Promise.all(fates);
    expect(ends.pop()).toBeUndefined();
    for (const end of ends) expect(end).toBeInstanceOf(Fenced);
    await expectEveryLineOnce();
  });

  it('is stored once where two captures of one claim race', async () => {
    write(5_000);
    const both = [await take(1), await take(1)];
    for (const capture of both) capture.agentHasEnded();
    await Promise.all(both.map((capture) => capture.run(on)));
    await expectEveryLineOnce();
  });

  it.each(['before', 'after'] as const)('is stored once where connections break %s commits', async (place) => {
    let commits = 0;
    let cuts = 0;
    proxy.wire = (cut) =>
      commitCutter(
        cut,
        () => {
          if (++commits % 3 !== 0) return undefined;
          cuts++;
          return place;
        },
        /fence as/,
      );
    proxy.cutAll();
    const capture = await take(1);
    const end = capture.run(on);
    for (let n = 0; n < 15; n++) {
      write(300);
      await until('a line of these to be stored', async () => (await storedLines()).length > 300 * n);
    }
    capture.agentHasEnded();
    await end;
    proxy.wire = () => ({ up: (bytes) => bytes, down: (bytes) => bytes });
    expect(cuts).toBeGreaterThan(3);
    await expectEveryLineOnce();
    // Streams hear of what they were not told when they look at the head; never twice, and in order.
    expect(told).toEqual([...new Set(told)].toSorted((a, b) => a - b));
  });

  it('waits for a database that is away, and goes on', async () => {
    const { target } = proxy;
    const capture = await take(1);
    const end = capture.run(on);
    write(10);
    await until('the first lines', async () => (await storedLines()).length === 10);
    proxy.target = undefined;
    proxy.cutAll();
    for (let n = 0; n < 20; n++) write(2_000);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // so long the outage is what is tested
    expect(await storedLines()).toHaveLength(10);
    proxy.target = target;
    capture.agentHasEnded();
    await end;
    await expectEveryLineOnce();
  });

  it('can be let go while the database is away', async () => {
    const { target } = proxy;
    const leave = new AbortController();
    const end = (await take(1)).run(leave.signal);
    proxy.target = undefined;
    proxy.cutAll();
    write(1);
    await new Promise((resolve) => setTimeout(resolve, 200)); // until it is being stored, which nobody tells
    leave.abort(new Error('let go'));
    await expect(end).rejects.toThrow(/let go|aborted/);
    proxy.target = target;
    expect(await storedLines()).toEqual([]);
  });

  it('can be looked into, whatever it is', async () => {
    const lines = [
      '{"type":"log","data":{"message":"\\u0000 \\ud800"}}',
      '{"type":"log","data":{"\\u0000":"\\udc00\\ud800"}}',
      '{"type":"progress","data":{"progress":1e400,"message":"\\u0000"}}',
      '{"type":"result","data":{"status":"completed","summary":"\\u0000\\ud800"}}',
      `{"type":"log","data":{"a":${'['.repeat(200)}${']'.repeat(200)}}}`,
      '{"type":"progress","data":{"progress":5e-324}}',
      '\u0000tab\there',
      '\\u0000 \\n as text',
      '{"type":"log","data":{"message":"tab\\there\\nand there"}}',
      '',
    ];
    const bytes = Buffer.concat([Buffer.from(`${lines.join('\n')}\n`), Buffer.from([0xff, 0xc3, 0x28, 0x0a])]);
    appendFileSync(join(directory, agent.id, 'out'), bytes);
    appendFileSync(join(directory, agent.id, 'err'), bytes);
    const capture = await take(1);
    capture.agentHasEnded();
    await capture.run(on);
    const rows = await query<{ text: string; message: string | null; whole: object }>(
      database.url,
      `select data::text as text, data ->> 'message' as message, data::jsonb as whole from acp_messages where task_id = $1`,
      [agent.task_id],
    );
    expect(rows).toHaveLength(2 * (lines.length + 1));
    for (const { text, whole } of rows) expect(JSON.parse(text)).toEqual(whole);
    expect(rows.map(({ message }) => message)).toContain('tab\there\nand there');
    await query(database.url, `select * from agent_logs where message ilike '%x%' or metadata is null`);
  });

  it('goes on where the database refuses some of it: that is kept as a plain line, or as a word of it', async () => {
    const table = `alter table acp_messages`;
    const refuses = [
      `${table} add constraint no_type check (type <> 'error')`,
      `${table} add constraint no_text check (data::text not like '%no such text%')`,
      `alter table agent_instances add constraint no_operation check (operation <> 'no such step')`,
    ];
    for (const sql of refuses) await query(database.url, sql);
    try {
      write(300);
      const odd = [
        '{"type":"error","data":{"message":"refused by its type"}}',
        '{"type":"progress","data":{"message":"no such step"}}',
        'there is no such text',
      ];
      appendFileSync(join(directory, agent.id, 'out'), `${odd.join('\n')}\n`);
      write(300);
      const capture = await take(1);
      capture.agentHasEnded();
      await capture.run(on);
    } finally {
      for (const name of ['no_type', 'no_text']) await query(database.url, `${table} drop constraint ${name}`);
      await query(database.url, `alter table agent_instances drop constraint no_operation`);
    }
    const messages = (await storedLines()).map(({ message }) => message);
    expect(messages.filter((message) => message.startsWith('line '))).toHaveLength(written);
    expect(messages.slice(300, 303)).toEqual([
      '{"type":"error","data":{"message":"refused by its type"}}',
      '{"type":"progress","data":{"message":"no such step"}}',
      'A message of the agent (log) could not be stored and was left out.',
    ]);
    const flagged = await query(
      database.url,
      `select from acp_messages where task_id = $1 and type = 'log' and data -> 'metadata' ->> 'refused' = 'true'`,
      [agent.task_id],
    );
    expect(flagged).toHaveLength(3);
  });

  it('can be let go while a connection says nothing', async () => {
    const leave = new AbortController();
    const end = (await take(1)).run(leave.signal);
    let silent = 0;
    proxy.wire = () => ({
      up: (bytes) => (/fence as/.test(bytes.toString('latin1')) ? (silent++, Buffer.alloc(0)) : bytes),
      down: (bytes) => bytes,
    });
    proxy.cutAll();
    write(1);
    await until('the batch to be on its way', async () => silent > 0);
    leave.abort(new Error('let go'));
    await expect(end).rejects.toThrow('let go');
    proxy.wire = () => ({ up: (bytes) => bytes, down: (bytes) => bytes });
    proxy.cutAll();
    expect(await storedLines()).toEqual([]);
  });
});
