/**
 * What storing an agent's lines is measured against: a loop that reads the same file and copies the same columns into a
 * table of the same definition, and nothing else. It parses each line, as that is where the columns come from.
 */
import { open } from 'node:fs/promises';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { answerQuestions } from '../lib/child-script.js';
import { CopyIn } from './copy-in.js';
import type { Ingested, IngestQuestion } from './ingest.js';

interface Parsed {
  type: string;
  timestamp: string;
  data: { level?: string; message?: string; metadata?: object };
}

const CHUNK = 256 * 1024; // as much as the server reads of a full file at once
const TABLE = `create table if not exists raw_messages (like acp_messages including all) partition by list (segment)`;
const PARTITION = `create table if not exists raw_messages_s1 partition of raw_messages for values in (1)`;
const COPY = `copy raw_messages (segment, task_id, seq, run_id, agent_id, type, level, timestamp, data) from stdin`;

let database: pg.Client;

answerQuestions(async (question: IngestQuestion) => {
  if (question.ask === 'store') return store(question.file);
  database = new pg.Client({ connectionString: question.database_url, application_name: 'raw' });
  await database.connect();
  await database.query(TABLE);
  await database.query(PARTITION);
  return undefined;
});

/** A commit for each chunk, as the server has. */
async function store(path: string): Promise<Ingested> {
  const [task, run, agent] = [uuidv7(), uuidv7(), uuidv7()];
  const started = performance.now();
  const file = await open(path);
  const buffer = Buffer.allocUnsafe(CHUNK);
  let seq = 0;
  let offset = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK, offset);
    const end = buffer.lastIndexOf('\n', bytesRead - 1);
    if (bytesRead === 0 || end === -1) break;
    offset += end + 1;
    let rows = '';
    for (const line of buffer.toString('utf8', 0, end).split('\n')) {
      const { type, timestamp, data } = parse(line);
      const json = JSON.stringify(data).replaceAll('\\', '\\\\');
      rows += `1\t${task}\t${++seq}\t${run}\t${agent}\t${type}\t${data.level ?? '\\N'}\t${timestamp}\t${json}\n`;
    }
    const copy = new CopyIn(COPY, Buffer.from(rows));
    database.query(copy);
    await copy.done;
  }
  await file.close();
  const took = performance.now() - started;
  await database.query('truncate raw_messages');
  return { ms: took, lines: seq };
}

function parse(line: string): Parsed {
  if (line.startsWith('{')) return JSON.parse(line) as Parsed;
  const timestamp = new Date().toISOString();
  return { type: 'log', timestamp, data: { level: 'info', message: line, metadata: { source: 'stdout' } } };
}
