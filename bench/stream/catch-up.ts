import { httpRequest } from '../lib/http-connection.js';
import { API, as, call, createBoard, expectStatus, register, type BenchUser } from '../lib/api.js';
import { ChildScript } from '../lib/child-script.js';
import { cpuSecondsOf, peakRssMib, resetPeakRss } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { verdict } from '../lib/table.js';
import { World } from '../lib/world.js';
import type { CrowdAnswer, CrowdQuestion } from './crowd.js';
import type { StreamOptions, StreamResult } from './part.js';

const MESSAGES = 1_000_000;
const FEW = 10; // so many times fewer are read first, until what is hot is compiled
const FLAT = 1.1; // the peak of the last quarter against that before: the collector lets the heap grow to begin with

interface Reading {
  messages: number;
  frames: number;
  seconds: number;
  /** Seconds. */
  cpu: number;
  /** MiB: when it began, the peak of the first three quarters, and that of the last. */
  before: number;
  first: number;
  second: number;
}

/** One client that reads a long stream from its beginning: how fast, and what it costs the server. */
export async function runCatchUp({ build, size = MESSAGES }: StreamOptions): Promise<StreamResult> {
  const world = await World.open(build);
  const reader = ChildScript.start('stream/crowd.ts');
  const ask = <Answer>(question: CrowdQuestion): Promise<Answer> => reader.ask(question);
  try {
    const server = await world.startKandev();
    const user = await register(server.url, 'admin');
    const board = await createBoard(server.url, user, 'Streams');
    const read = async (count: number): Promise<Reading> => {
      step(`catch-up: storing ${count} messages`);
      const task = await fill(world, server.url, user, board, count);
      step('catch-up: reading them');
      resetPeakRss(server.pid);
      const before = peakRssMib(server.pid);
      const cpu = cpuSecondsOf(server.pid);
      const start = performance.now();
      await ask({ ask: 'open', url: server.url, count: 1, token: user.token, task_ids: [task], all: true });
      await ask({ ask: 'wait', messages: Math.ceil((count * 3) / 4) });
      const first = peakRssMib(server.pid);
      resetPeakRss(server.pid);
      const { messages, frames } = await ask<CrowdAnswer>({ ask: 'wait', messages: count });
      const seconds = (performance.now() - start) / 1_000;
      await ask({ ask: 'close' });
      return { messages, frames, seconds, cpu: cpu(), before, first, second: peakRssMib(server.pid) };
    };
    await read(Math.ceil(size / FEW));
    const { messages, frames, seconds, cpu, before, first, second } = await read(size);
    const row = {
      messages,
      'messages/s': Math.round(messages / seconds),
      'messages a frame': messages / frames,
      'CPU µs a message': (cpu * 1e6) / messages,
      'memory before, MiB': before,
      'peak of three quarters, MiB': first,
      'of the last, MiB': second,
      '≤ 1.1': verdict(second / first, FLAT),
    };
    return { title: 'Catch-up', rows: [row], met: second <= FLAT * first };
  } finally {
    await reader.stop();
    await world.close();
  }
}

/** A task with so many messages, stored as the server stores them. */
async function fill(world: World, url: string, user: BenchUser, board: string, count: number): Promise<string> {
  const task = { title: 'Measured', description: 'Has written lines.' };
  const answer = await call(url, httpRequest('POST', `${API}/boards/${board}/tasks`, as(user), task));
  const { id } = expectStatus<{ id: string }>(201, answer);
  const database = world.database();
  await database.query(
    `with open as (select segment from message_segments where closed_at is null), stream as (
       insert into task_streams (task_id, head_seq, segment, segment_first_seq) select $1, $2, segment, 1 from open
     ) insert into task_stream_segments (task_id, segment, first_seq) select $1, segment, 1 from open`,
    [id, count],
  );
  await database.query(
    `insert into acp_messages (segment, task_id, seq, run_id, agent_id, type, level, timestamp, data)
     select segment, $1, n, $3, $4, 'log', 'info', now() + n * interval '1 ms',
       json_build_object('level', 'info', 'message', n || repeat(' some words', 12))
     from generate_series(1, $2::int) n, message_segments where closed_at is null`,
    [id, count, crypto.randomUUID(), crypto.randomUUID()],
  );
  await database.query('analyze acp_messages');
  return id;
}
