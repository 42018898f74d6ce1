/**
 * A Socket.IO server in a process of its own that says something to everybody who is connected, again and again: by
 * the server's own way from a committed batch to a frame, or as Socket.IO does by itself.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, type Socket } from 'socket.io';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import type { StoredMessage, wireJson } from '../../src/common/acp/stored-message.js';
import type { ReadMessagesQuery } from '../../src/modules/agent/contracts/agent.queries.js';
import type { SocketIoSink } from '../../src/modules/streaming/api/socket-io.sink.js';
import type { RequestQueue } from '../../src/modules/streaming/app/request-queue.js';
import type { StreamConnection } from '../../src/modules/streaming/app/stream-connection.js';
import type { StreamHub } from '../../src/modules/streaming/app/stream-hub.js';
import type { DEFAULT_LIMITS } from '../../src/modules/streaming/app/stream-limits.js';
import type { StreamReader } from '../../src/modules/streaming/app/stream-reader.js';
import type { StreamSource } from '../../src/modules/streaming/app/stream-source.js';
import { Build } from '../lib/build.js';
import { answerQuestions } from '../lib/child-script.js';

/** `open` is asked once and answers with the URL; `say` with the processor time it took, in milliseconds. */
export type FanOutQuestion =
  | { ask: 'open'; dist: string; side: 'bare' | 'kandev' }
  | { ask: 'say'; frames: number; messages: number; seconds: number }
  | { ask: 'memory' };

const TASK = { task_id: '019ac1a5-7c1e-7000-8000-000000000001', board_id: '019ac1a5-7c1e-7000-8000-000000000002' };
const AGENT = { agent_id: '019ac1a5-7c1e-7000-8000-000000000003', run_id: '019ac1a5-7c1e-7000-8000-000000000004' };
const APP = 'src/modules/streaming/app';
const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false, perMessageDeflate: false });
const stored: StoredMessage[] = [];
let said = 0;
let tell: (first: number, count: number) => void;

answerQuestions(async (question: FanOutQuestion) => {
  if (question.ask === 'say') return say(question);
  if (question.ask === 'memory') return memory();
  tell = question.side === 'bare' ? bare() : await kandev(Build.at(question.dist));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});

/** As its documentation shows: everybody is in a room. */
function bare(): typeof tell {
  const room = io.of('/acp').on('connection', (socket) => void socket.join('task'));
  return (first, count) => {
    const messages = Array.from({ length: count }, (_, i) => ({ ...envelope(first + i), data: data(first + i) }));
    room.to('task').emit('acp', messages);
  };
}

/** The server's core with its own limits. What was said is kept in memory. */
async function kandev(build: Build): Promise<typeof tell> {
  const { StreamHub: Hub } = await build.import<{ StreamHub: typeof StreamHub }>(`${APP}/stream-hub`);
  const { StreamReader: Reader } = await build.import<{ StreamReader: typeof StreamReader }>(`${APP}/stream-reader`);
  const { StreamSource: Source } = await build.import<{ StreamSource: typeof StreamSource }>(`${APP}/stream-source`);
  const connections = await build.import<{ StreamConnection: typeof StreamConnection }>(`${APP}/stream-connection`);
  const queues = await build.import<{ RequestQueue: typeof RequestQueue }>(`${APP}/request-queue`);
  const { DEFAULT_LIMITS: limits } = await build.import<{ DEFAULT_LIMITS: typeof DEFAULT_LIMITS }>(
    `${APP}/stream-limits`,
  );
  const sinks = await build.import<{ SocketIoSink: typeof SocketIoSink }>('src/modules/streaming/api/socket-io.sink');
  const messages = await build.import<{ wireJson: typeof wireJson }>('src/common/acp/stored-message');
  const execute = (query: Partial<ReadMessagesQuery>): Promise<object> => {
    if (query.after_seq === undefined) return Promise.resolve([{ ...TASK, head_seq: said, first_seq: 1 }]);
    const page = stored.slice(query.after_seq, query.after_seq + (query.limit ?? 0));
    return Promise.resolve({ messages: page, through_seq: page.at(-1)?.seq ?? query.after_seq });
  };
  const source = new Source({ execute } as unknown as ConstructorParameters<typeof StreamSource>[0], limits);
  const hub = new Hub(source, limits);
  await hub.acquire([TASK]);
  io.of('/acp').on('connection', (socket: Socket) => {
    const queue: RequestQueue = new queues.RequestQueue(limits.pendingRequests, {
      room: async () => connection.reader.room(),
      overrun: () => connection.reader.closeIfClogged(),
    });
    const connection: StreamConnection = new connections.StreamConnection(
      { user_id: null, role: 'admin' },
      queue,
      hub.audience,
    );
    connection.reader = new Reader(new sinks.SocketIoSink(socket), source, limits, () => connection.uncoverAll());
    connection.cover({ tasks: [TASK.task_id], boards: [] }, null);
    socket.on('disconnect', () => connection.reader.dispose());
  });
  return (first, count) => {
    const fresh = Array.from({ length: count }, (_, i): StoredMessage => {
      const json = messages.wireJson(envelope(first + i), JSON.stringify(data(first + i)));
      return { seq: first + i, type: 'log', level: 'info', json };
    });
    stored.push(...fresh);
    hub.appended(TASK.task_id, fresh);
  };
}

function envelope(seq: number): Omit<AcpMessage, 'data'> {
  return { type: 'log', timestamp: '2026-01-09T10:30:15.000Z', ...AGENT, task_id: TASK.task_id, seq };
}

function data(seq: number): AcpMessage['data'] {
  return { level: 'info', message: `${seq} ${'x'.repeat(130)}` };
}

async function say({ frames, messages, seconds }: FanOutQuestion & { ask: 'say' }): Promise<number> {
  const before = process.cpuUsage();
  const [start, first] = [performance.now(), said];
  for (let i = 1; i <= frames; i++) {
    const until = first + Math.round((messages * i) / frames);
    tell(said + 1, until - said);
    said = until;
    const due = start + (i * seconds * 1_000) / frames - performance.now();
    if (due > 1) await sleep(due);
    else await new Promise(setImmediate);
  }
  await sleep(200); // what is still on its way
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** Bytes in use after a full collection, of V8's heap and outside of it. */
function memory(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
