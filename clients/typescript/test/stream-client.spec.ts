import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket as WsWebSocket } from 'ws';
import { KandevError, StreamClient, StreamError, type StreamMessage, type StreamReset } from '../src/index.js';
import type { SocketClass, StreamClientOptions, StreamState } from '../src/stream/index.js';
import { until } from '../../../test/support/until.js';
import { message, OddServer, problem, TASK, type Visit } from './odd-server.js';

const QUICK = { reconnect: { minMs: 5, maxMs: 20, stableMs: 200 } };

let server: OddServer;
let client: StreamClient;

const connect = (options: Partial<StreamClientOptions> = {}) =>
  (client = new StreamClient({ baseUrl: `${server.url}/`, token: 'key', ...QUICK, ...options }));

beforeEach(async () => {
  server = await OddServer.start();
  connect();
});
afterEach(async () => {
  client.close();
  await server.stop();
});

const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const range = (first: number, last: number) => upTo(last, first).map((seq) => message(seq));

/** Reads until so many messages are there. */
async function read(stream: AsyncIterable<StreamMessage>, count: number): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of stream) {
    seqs.push(seq);
    if (seqs.length === count) break;
  }
  return seqs;
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('one task', () => {
  it('is read with a ticket of its own for each connection, and goes on after the last message', async () => {
    server.onVisit = ({ after, send, socket }) => {
      send(range(after + 1, after + 7));
      socket.close(1001);
    };
    expect(await read(client.messages(TASK.toUpperCase(), { after: 3 }), 21)).toEqual(upTo(24, 4));
    expect(server.visits.map(({ after }) => after)).toEqual([3, 10, 17]);
    expect(server.visits.map(({ url }) => url.searchParams.get('ticket'))).toEqual([
      'ticket-1',
      'ticket-2',
      'ticket-3',
    ]);
    expect(server.visits.map(({ url }) => url.searchParams.has('token'))).toEqual([false, false, false]);
    expect(server.tickets[0]?.token).toBe('Bearer key');
  });

  it('is whole and in order whatever a bad line does to it', async () => {
    let n = 0;
    const tricks: ((visit: Visit) => void)[] = [
      ({ after, send, socket }) => (send(range(after + 1, after + 5)), socket.terminate()),
      ({ after, send }) => send(...range(after + 1, after + 3), message(after + 5)), // a gap
      ({ after, send }) => (send(range(after + 1, after + 4)), send('{"type":"log","seq"')), // half a frame
      ({ after, send }) => send(range(Math.max(1, after - 2), after + 3), 17), // doubles, then nonsense
      ({ send, socket }) => (send({ type: 'heartbeat', data: {} }), socket.close(1011)),
      ({ after, send, socket }) => (send({ type: 'novelty' }, range(after + 1, after + 2)), socket.close(1013)),
      ({ send }) => send([message(999, 'another')], [{ type: 'log', seq: 'x' }]),
    ];
    server.onVisit = (visit) => tricks[n++ % tricks.length]?.(visit);
    expect(await read(client.messages(TASK, { after: 0 }), 60)).toEqual(upTo(60));
  });

  it('may have holes when it is filtered, and tells the server the filter', async () => {
    server.onVisit = ({ after, send, socket }) => {
      send([message(after + 2), message(after + 2), message(after + 9)]);
      socket.close(1001);
    };
    const stream = client.messages(TASK, { after: 0, types: ['log', 'error'], min_level: 'warn' });
    expect(await read(stream, 4)).toEqual([2, 9, 11, 18]);
    expect(server.visits[0]?.url.searchParams.get('types')).toBe('log,error');
    expect(server.visits[1]?.url.searchParams.get('min_level')).toBe('warn');
  });

  it('goes on where the server says that nothing more passes the filter', async () => {
    server.onVisit = ({ after, send, socket }) => {
      send(message(after + 1), { type: 'position', task_id: TASK, seq: after + 500 });
      if (server.visits.length < 3) return socket.close(1001);
      return send({ type: 'position', task_id: TASK, seq: 7 }, message(after + 501));
    };
    const stream = client.messages(TASK, { after: 0, min_level: 'error' });
    expect(await read(stream, 4)).toEqual([1, 501, 1001, 1501]);
    expect(stream.positions).toEqual({ [TASK]: 1501 });
  });

  it('tells of a reset between the messages around it', async () => {
    server.onVisit = ({ send }) =>
      send(
        range(1, 2),
        { type: 'reset', task_id: TASK, first_seq: 40 },
        range(40, 41),
        {
          ...{ type: 'reset', task_id: TASK, first_seq: 5 }, // the database is an older one
        },
        message(5),
      );
    const seen: (number | StreamReset)[] = [];
    const stream = client.messages(TASK, { after: 0, onReset: (reset) => seen.push(reset) });
    for await (const { seq } of stream) if (seen.push(seq) === 7) break;
    const resets = [40, 5].map((first_seq) => ({ task_id: TASK, first_seq }));
    expect(seen).toEqual([1, 2, resets[0], 40, 41, resets[1], 5]);
    expect(stream.positions).toEqual({ [TASK]: 5 });
  });

  it('gives up when the same messages are missing again and again', async () => {
    server.onVisit = ({ after, send }) => send(message(after + 2));
    expect(await failure(read(client.messages(TASK, { after: 0 }), 1))).toMatchObject({ code: 'stream.gap' });
    expect(server.visits).toHaveLength(3);
  });

  it('comes back from a server that has fallen silent, and from one that never answers', async () => {
    connect({ silenceMs: 60 });
    server.onVisit = ({ after, send, socket }) => {
      send(message(after + 1));
      socket.pause(); // it does not even answer the close
    };
    expect(await read(client.messages(TASK, { after: 0 }), 3)).toEqual([1, 2, 3]);
    expect(server.visits).toHaveLength(3);
  });

  it('ends with a replay, and not with a connection that breaks', async () => {
    server.onVisit = ({ send, socket }) => {
      if (server.visits.length === 1) return (send(message(70)), socket.terminate());
      return (send(message(71)), socket.close(1000));
    };
    expect(await read(client.messages(TASK, { at_speed: 10, run_id: 'r' }), 99)).toEqual([70, 71]);
    expect(server.visits.map(({ url }) => url.searchParams.get('after'))).toEqual([null, '70']);
    expect(server.visits[1]?.url.searchParams.get('at_speed')).toBe('10');
  });

  it('is read with another WebSocket as well', async () => {
    connect({ WebSocket: WsWebSocket as unknown as SocketClass });
    server.onVisit = ({ after, send, socket }) => (send(range(after + 1, after + 3)), socket.terminate());
    expect(await read(client.messages(TASK, { after: 0 }), 9)).toEqual(upTo(9));
  });
});

describe('a reader', () => {
  it('that is slow bounds what waits for it, and misses nothing', async () => {
    const LINES = 50_000;
    let sent = 0;
    server.onVisit = ({ after, send }) => {
      sent = after;
      while (sent < LINES) send(range(sent + 1, (sent += 500)));
    };
    const states: string[] = [];
    const stream = client.messages(TASK, { after: 0, onState: ({ state }) => states.push(state) });
    const seqs: number[] = [];
    for await (const { seq } of stream) {
      // Again and again it takes its time.
      if (seq % 15_000 === 1 && seq < 40_000) await until('it to be told to wait', () => states.at(-1) === 'paused');
      if (seqs.push(seq) === LINES) break;
    }
    expect(seqs).toEqual(upTo(LINES));
    expect(server.visits.length).toBeGreaterThanOrEqual(4);
  });

  it('can hand it to a listener, one message at a time', async () => {
    server.onVisit = ({ after, send, socket }) => (send(range(after + 1, after + 3)), socket.close(1001));
    const seqs: number[] = [];
    let busy = 0;
    const subscription = client.onMessage(
      TASK,
      async ({ seq }) => {
        expect(++busy).toBe(1);
        await Promise.resolve();
        busy--;
        seqs.push(seq);
        if (seq === 8) subscription.close();
      },
      { after: 0 },
    );
    await subscription.done;
    expect(seqs).toEqual(upTo(8));
    expect(subscription.positions).toEqual({ [TASK]: 8 });
    const broken = client.onMessage(TASK, () => Promise.reject(new Error('mine')), { after: 0 });
    await expect(broken.done).rejects.toThrow('mine');
  });

  it('can be ended by its signal, by the client, and by leaving the loop', async () => {
    server.onVisit = ({ send }) => send(message(1));
    const controller = new AbortController();
    const aborted = read(client.messages(TASK, { after: 0, signal: controller.signal }), 2);
    const closed = read(client.messages(TASK, { after: 0 }), 2);
    expect(await read(client.messages(TASK, { after: 0 }), 1)).toEqual([1]);
    await until('three', () => server.visits.length === 3);
    controller.abort();
    expect(await failure(aborted)).toMatchObject({ name: 'AbortError' });
    client.close();
    expect(await closed).toHaveLength(1);
    await until('no socket', () => server.visits.every(({ socket }) => socket.readyState === socket.CLOSED));
    expect(await failure(read(client.messages(TASK, { after: 0 }), 1))).toMatchObject({ code: 'stream.closed' });
  });
});

describe('an end', () => {
  it('of the access is followed by one renewal, and by no second', async () => {
    server.onVisit = ({ after, send, socket }) => {
      send(message(after + 1));
      socket.close(1008, 'auth.session_ended: You have signed out.');
    };
    const stream = client.messages(TASK, { after: 0 });
    const seqs: number[] = [];
    const error = await failure(
      (async () => {
        for await (const { seq } of stream) seqs.push(seq);
      })(),
    );
    expect(error).toBeInstanceOf(StreamError);
    expect(error).toMatchObject({ code: 'auth.session_ended', message: 'auth.session_ended: You have signed out.' });
    expect(seqs).toEqual([1, 2]);
    expect(server.tickets).toHaveLength(2);
  });

  it('comes when no ticket is given any more, and not when the server is not well', async () => {
    const answer = (status: number, code: string, headers = {}) => ({ status, body: problem(status, code), headers });
    server.ticketAnswers = [
      answer(503, 'server.unavailable'),
      answer(429, 'rate.limited', { 'retry-after': '0.01' }),
      { status: 502, body: [] },
      answer(401, 'auth.invalid_token'),
    ];
    const states: StreamState[] = [];
    const stream = client.messages(TASK, { after: 0, onState: (state) => states.push(state) });
    const error = await failure(read(stream, 1));
    expect(error).toBeInstanceOf(KandevError);
    expect(error).toMatchObject({ status: 401, code: 'auth.invalid_token' });
    expect(states.filter(({ state }) => state === 'waiting')).toHaveLength(3);
    expect(states.at(-1)).toEqual({ state: 'closed' });
  });

  it('says why a socket was refused', async () => {
    server.refuse = () => true;
    server.statusAnswer = { status: 404, body: problem(404, 'task.not_found') };
    expect(await failure(read(client.messages(TASK, { after: 0 }), 1))).toMatchObject({ code: 'task.not_found' });
    expect(server.tickets).toHaveLength(1);
    server.statusAnswer = { status: 200, body: {} };
    expect(await failure(read(client.messages(TASK, { after: 0 }), 1))).toMatchObject({ code: 'stream.refused' });
    expect(await failure(client.control(TASK, { action: 'stop' }))).toMatchObject({ code: 'stream.disconnected' });
  });

  it('of frames that are too large, or of an address that is none, is no reason to come back', async () => {
    server.onVisit = ({ socket }) => socket.close(1000, 'stream.deleted: The task was deleted.');
    expect(await failure(read(client.messages(TASK, { after: 0 }), 1))).toMatchObject({ code: 'stream.deleted' });
    server.onVisit = ({ socket }) => socket.close(1009);
    expect(await failure(read(client.messages(TASK, { after: 0 }), 1))).toMatchObject({
      code: 'stream.frame_too_large',
    });
    connect({ baseUrl: 'nowhere', getTicket: () => 't' });
    expect(await failure(read(client.messages(TASK, { after: 0 }), 1))).toMatchObject({ name: 'SyntaxError' });
  });
});

describe('a control message', () => {
  it('is answered, refused, or unanswered', async () => {
    connect({ requestMs: 50 });
    server.onVisit = ({ socket, send }) => {
      socket.on('message', (data: Buffer) => {
        const { request_id, action, ...rest } = JSON.parse(data.toString()) as Record<string, unknown>;
        if (action === 'stop') return send({ type: 'ack', action, request_id, ok: true, run: { run_id: 'r' }, rest });
        if (action === 'pause') return socket.terminate();
        if (action === 'resume') return undefined;
        return send({ type: 'ack', action, request_id, ok: false, error: problem(409, 'run.none_live') });
      });
    };
    const rest = { type: 'control', task_id: TASK, reason: 'enough' };
    expect(await client.control(TASK, { action: 'stop', reason: 'enough' })).toMatchObject({
      ...{ run: { run_id: 'r' }, rest },
    });
    expect(await failure(client.control(TASK, { action: 'start' }))).toMatchObject({ code: 'run.none_live' });
    expect(await failure(client.control(TASK, { action: 'pause' }))).toMatchObject({ code: 'stream.disconnected' });
    expect(await failure(client.control(TASK, { action: 'resume' }))).toMatchObject({ code: 'stream.timeout' });
    await until('no socket', () => server.visits.every(({ socket }) => socket.readyState === socket.CLOSED));
    const states: string[] = [];
    const stream = client.messages(TASK, { after: 0, onState: ({ state }) => states.push(state) });
    expect(await failure(stream.control(TASK, { action: 'stop' }))).toMatchObject({ code: 'stream.disconnected' });
    await until('it to be open', () => states.includes('open'));
    expect(await stream.control(TASK, { action: 'stop' })).toMatchObject({ run: { run_id: 'r' } });
  });
});
