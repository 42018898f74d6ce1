/**
 * What a line's way is measured against: a file watched, read, split, stored and told, with nothing between. It stores
 * before it tells, in one prepared statement per read, and knows nothing of access, restarts, secrets, or slow clients.
 */
import { watch, type FSWatcher } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { Server } from 'socket.io';
import { v7 as uuidv7 } from 'uuid';
import { answerQuestions } from '../lib/child-script.js';

/** `open` is asked once and answers with the URL; `watch` begins with a new file, which has to be there. */
export type RawQuestion = { ask: 'open'; database_url: string } | { ask: 'watch'; file: string };

interface Parsed {
  type: string;
  timestamp: string;
  data: { level?: string };
}

const CHUNK = 1024 * 1024; // as much as the server reads at once
const NEWLINE = 10;
const TABLE = `create table if not exists raw_messages (
  task_id uuid not null, seq bigint not null, run_id uuid not null, agent_id uuid not null, type varchar(20) not null,
  level varchar(20), timestamp timestamptz(3) not null, data json not null,
  created_at timestamptz(3) not null default now(), primary key (task_id, seq))`;
const INSERT = `insert into raw_messages (task_id, run_id, agent_id, seq, type, level, timestamp, data)
  select $1, $2, $3, * from unnest($4::bigint[], $5::text[], $6::text[], $7::timestamptz[], $8::json[])`;

const http = createServer();
const sockets = new Server(http, { transports: ['websocket'], serveClient: false });
let database: pg.Client;
let current: { watcher: FSWatcher; file: FileHandle } | undefined;

answerQuestions(async (question: RawQuestion) => {
  if (question.ask === 'watch') return follow(question.file);
  database = new pg.Client({ connectionString: question.database_url, application_name: 'raw' });
  await database.connect();
  await database.query(TABLE);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});

async function follow(path: string): Promise<void> {
  current?.watcher.close();
  await current?.file.close();
  const file = await open(path);
  const ids = { task_id: uuidv7(), run_id: uuidv7(), agent_id: uuidv7() };
  const buffer = Buffer.allocUnsafe(CHUNK);
  let [offset, seq, rung, reading] = [0, 0, false, false];

  async function readOn(): Promise<void> {
    rung = true;
    if (reading) return;
    reading = true;
    while (rung) {
      rung = false;
      const { bytesRead } = await file.read(buffer, 0, CHUNK, offset);
      const end = buffer.lastIndexOf(NEWLINE, bytesRead - 1);
      if (bytesRead === 0 || end === -1) continue;
      rung = true; // there may be more
      const lines = buffer.toString('utf8', 0, end).split('\n');
      offset += end + 1;
      await store(lines.map((line) => JSON.parse(line) as Parsed));
    }
    reading = false;
  }

  async function store(parsed: Parsed[]): Promise<void> {
    const messages = parsed.map(({ type, timestamp, data }) => ({ type, timestamp, ...ids, seq: ++seq, data }));
    const values = [
      ...[ids.task_id, ids.run_id, ids.agent_id],
      messages.map((message) => message.seq),
      messages.map(({ type }) => type),
      messages.map(({ data }) => data.level ?? null),
      messages.map(({ timestamp }) => timestamp),
      messages.map(({ data }) => JSON.stringify(data)),
    ];
    await database.query({ name: 'insert', text: INSERT, values });
    sockets.emit('acp', messages);
  }

  const failed = (error: unknown): never => {
    throw error;
  };
  current = { file, watcher: watch(path, () => void readOn().catch(failed)) };
  void readOn().catch(failed);
}
