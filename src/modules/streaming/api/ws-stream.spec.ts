import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, type ClientOptions } from 'ws';
import { startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { until } from '../../../../test/support/until.js';
import { WsClients } from './ws-clients.js';

let server: StreamApp;
let task: string;
let board: string;
const sockets: WebSocket[] = [];

beforeAll(async () => void (server = await startStreamApp()));
afterAll(async () => server.app.close());
beforeEach(() => {
  board = server.log.addBoard('ann');
  task = server.log.addTask(board);
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
});

type Frame = Record<string, unknown> & { type: string; seq?: number; error?: { code: string } };

const GLOBAL = '/api/v1/orchestrator/stream';
const ofTask = (id: string): string => `/api/v1/orchestrator/tasks/${id}/stream`;

class Client {
  readonly frames: (Frame | Frame[])[] = [];

  constructor(readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => this.frames.push(JSON.parse(data.toString()) as Frame));
  }

  get messages(): Frame[] {
    return this.frames.flat().filter(({ seq }) => seq !== undefined);
  }

  get answers(): Frame[] {
    return this.frames.flat().filter(({ type }) => type === 'ack');
  }

  async ask(request: unknown): Promise<Frame> {
    const known = this.answers.length;
    this.socket.send(typeof request === 'string' || Buffer.isBuffer(request) ? request : JSON.stringify(request));
    return until('an answer', () => this.answers[known]);
  }

  async seqs(count: number): Promise<number[]> {
    await until(`${count} messages`, () => this.messages.length >= count);
    return this.messages.map(({ seq }) => seq!);
  }
}

async function open(path: string, options: ClientOptions = {}, seconds?: number): Promise<Client> {
  const authorization = `Bearer ${await server.token('ann', seconds)}`;
  const socket = new WebSocket(server.url + path, { ...options, headers: { authorization, ...options.headers } });
  sockets.push(socket);
  const client = new Client(socket);
  await once(socket, 'open');
  return client;
}

async function refusal(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status?: number; type?: string; code: string }> {
  const socket = new WebSocket(server.url + path, { headers });
  socket.on('error', () => undefined);
  const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return {
    status: answer.statusCode,
    type: answer.headers['content-type'],
    code: (JSON.parse(text) as { code: string }).code,
  };
}

describe('before the upgrade', () => {
  it('answers what is wrong as a problem document', async () => {
    const authorization = `Bearer ${await server.token('ann')}`;
    const foreign = server.log.addTask(server.log.addBoard());
    const type = 'application/problem+json; charset=utf-8';
    expect(await refusal(GLOBAL)).toEqual({ status: 401, type, code: 'auth.required' });
    expect(await refusal(`${GLOBAL}?token=nonsense`)).toEqual({ status: 401, type, code: 'auth.invalid_token' });
    expect(await refusal('/api/v1/nowhere', { authorization })).toEqual({ status: 404, type, code: 'route.not_found' });
    for (const id of [foreign, randomUUID()]) {
      expect(await refusal(ofTask(id), { authorization })).toEqual({ status: 404, type, code: 'task.not_found' });
    }
    const invalid = { status: 400, type, code: 'request.invalid' };
    for (const path of [ofTask('1'), `${ofTask(task)}?after=-1`, `${ofTask(task)}?batch=2`, `${GLOBAL}?after=1`]) {
      expect(await refusal(path, { authorization })).toEqual(invalid);
    }
    const origin = 'http://evil.example';
    expect(await refusal(GLOBAL, { authorization, origin })).toEqual({ status: 403, type, code: 'origin.forbidden' });
  });

  it('survives a client that is gone at once', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connectTcp(Number(new URL(server.url).port));
      socket.write(`GET ${GLOBAL} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, () =>
        socket.destroy(),
      );
      await once(socket, 'close');
    }
    await open(ofTask(task));
  });
});

describe('the stream of a task', () => {
  it('brings history and what follows, one message a frame, exactly the envelope', async () => {
    const [first] = server.log.append(task, 700);
    const token = await server.token('ann');
    const socket = new WebSocket(`${server.url}${ofTask(task)}?after=0&token=${token}`);
    sockets.push(socket);
    const client = new Client(socket);
    await until('history', () => client.frames.length >= 100);
    for (let i = 0; i < 20; i++, await new Promise((resolve) => setTimeout(resolve, 2))) server.say(task, 5);
    expect(await client.seqs(800)).toEqual(Array.from({ length: 800 }, (_, i) => i + 1));
    expect(client.frames[0]).toEqual(first);
  });

  it('starts at the present without after, and sends arrays where batches are asked for', async () => {
    server.log.append(task, 10);
    const client = await open(`${ofTask(task)}?batch=true`);
    await until('the subscription', () => (server.log.asked.get('GetStreamHeadsQuery') ?? 0) > 0);
    await client.ask({ type: 'control', action: 'stop' }); // answered after the subscription has begun
    for (let i = 0; i < 3; i++) server.say(task, 2);
    expect(await client.seqs(6)).toEqual([11, 12, 13, 14, 15, 16]);
    expect(client.frames.filter(Array.isArray)).toHaveLength(1);
  });

  it('sends a reset when what is asked for is gone', async () => {
    server.log.append(task, 10);
    server.log.forget(task, 6);
    const client = await open(`${ofTask(task)}?after=2`);
    expect(await client.seqs(5)).toEqual([6, 7, 8, 9, 10]);
    expect(client.frames[0]).toEqual({ type: 'reset', task_id: task, first_seq: 6 });
  });

  it('takes control messages, and nothing for other tasks', async () => {
    const client = await open(ofTask(task));
    const answer = await client.ask({ type: 'control', action: 'stop', request_id: '7', reason: 'enough' });
    expect(answer).toMatchObject({ type: 'ack', action: 'stop', request_id: '7', ok: true, run: { task_id: task } });
    expect(server.commands.at(-1)).toMatchObject({
      actor: { user_id: 'ann' },
      task_id: task,
      reason: 'enough',
      force: false,
    });
    for (const [request, code] of [
      [{ type: 'control', action: 'pause' }, 'control.unsupported_action'],
      [{ type: 'control', action: 'stop', task_id: randomUUID() }, 'request.invalid'],
      [{ action: 'subscribe', task_ids: [task] }, 'request.invalid'],
      ['{', 'request.malformed'],
      ['[]', 'request.invalid'],
      ['null', 'request.invalid'],
      [Buffer.from('{}'), 'request.malformed'],
    ] as const) {
      const { type, ok, error } = await client.ask(request);
      expect({ type, ok, code: error?.code }).toEqual({ type: 'ack', ok: false, code });
    }
  });

  it('loses nothing for a client that stops reading for a while', async () => {
    const client = await open(`${ofTask(task)}?after=0`);
    await client.ask({ type: 'control', action: 'stop' });
    client.socket.pause();
    const reads = server.log.asked.get('ReadMessagesQuery') ?? 0;
    for (let i = 0; i < 400; i++) server.say(task, 100);
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.socket.resume();
    const seqs = await client.seqs(40_000);
    expect(seqs.every((seq, i) => seq === i + 1)).toBe(true);
    expect(server.log.asked.get('ReadMessagesQuery')).toBeGreaterThan(reads);
  });
});

describe('the global stream', () => {
  it('brings all that the user may see until something is named', async () => {
    const other = server.log.addTask(board);
    const foreign = server.log.addTask(server.log.addBoard());
    const client = await open(GLOBAL);
    await client.ask('{'); // answered after the subscription has begun
    for (const id of [task, other, foreign]) server.say(id, 1);
    await client.seqs(2);
    const answer = await client.ask({ action: 'subscribe', task_ids: [task, foreign] });
    expect(answer).toEqual({
      ...{ type: 'ack', action: 'subscribe', ok: true },
      ...{ subscribed: [{ task_id: task, head_seq: 1 }], denied: [foreign] },
    });
    for (const id of [other, task, foreign]) server.say(id, 1);
    await client.seqs(3);
    await client.ask({ action: 'subscribe', board_ids: [board], after: { [other]: 0 } });
    await client.seqs(5);
    expect(client.messages.map(({ task_id, seq }) => [task_id, seq])).toEqual([
      ...[[task, 1], [other, 1], [task, 2]], // prettier-ignore
      ...[[other, 1], [other, 2]], // prettier-ignore
    ]);
    await client.ask({ action: 'unsubscribe' });
    server.say(task, 1);
    expect((await client.ask({ type: 'control', action: 'stop' })).error?.code).toBe('request.invalid');
    expect((await client.ask({ type: 'control', action: 'stop', task_id: task })).ok).toBe(true);
    expect(client.messages).toHaveLength(5);
  });
});

describe('a connection', () => {
  it('has a heartbeat when nothing else is said, and is pinged', async () => {
    const [ofOne, ofAll] = [await open(ofTask(task)), await open(GLOBAL)];
    server.app.get(WsClients).keepAlive(Date.now() + 15_100);
    await until('heartbeats', () => ofOne.frames.length === 1 && ofAll.frames.length === 1);
    expect(ofOne.frames[0]).toEqual({
      type: 'heartbeat',
      timestamp: expect.any(String) as string,
      task_id: task,
      data: {},
    });
    expect(ofAll.frames[0]).toEqual({ type: 'heartbeat', timestamp: expect.any(String) as string, data: {} });
    const pinged = once(ofOne.socket, 'ping');
    server.app.get(WsClients).keepAlive(Date.now() + 31_000);
    await pinged;
    ofOne.socket.ping();
    await once(ofOne.socket, 'pong');
    server.app.get(WsClients).keepAlive(Date.now() + 62_000);
    expect(ofOne.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('ends when its peer answers no ping', async () => {
    const dead = await open(GLOBAL, { autoPong: false });
    const closed = once(dead.socket, 'close');
    const pinged = once(dead.socket, 'ping');
    server.app.get(WsClients).keepAlive(Date.now() + 31_000);
    await pinged;
    server.app.get(WsClients).keepAlive(Date.now() + 62_000);
    expect((await closed)[0]).toBe(1006);
  });

  it('is closed when the token expires, and when a frame is too large', async () => {
    const [expiring, large] = [await open(GLOBAL, {}, 1), await open(GLOBAL)];
    large.socket.send(' '.repeat(65_537));
    expect((await once(large.socket, 'close'))[0]).toBe(1009);
    const [code, reason] = (await once(expiring.socket, 'close')) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([1008, expect.stringMatching(/^auth\.token_expired: /)]);
  });
});

it('says goodbye at shutdown, within a second, also to who does not listen', async () => {
  const doomed = await startStreamApp();
  const board_ = doomed.log.addBoard('ann');
  const headers = { authorization: `Bearer ${await doomed.token('ann')}` };
  const [polite, deaf] = [0, 1].map(() => new WebSocket(doomed.url + GLOBAL, { headers })) as [WebSocket, WebSocket];
  await Promise.all([once(polite, 'open'), once(deaf, 'open')]);
  const stranger = connectTcp(Number(new URL(doomed.url).port));
  stranger.write(
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n',
  );
  deaf.pause();
  const task_ = doomed.log.addTask(board_);
  for (let i = 0; i < 200; i++) doomed.say(task_, 100);
  const closed = once(polite, 'close') as Promise<[number, Buffer]>;
  const start = Date.now();
  await doomed.app.close();
  expect(Date.now() - start).toBeLessThan(1_500);
  const [code, reason] = await closed;
  expect([code, reason.toString()]).toEqual([1001, 'server.shutting_down: server shutting down']);
  deaf.terminate();
  stranger.destroy();
}, 20_000);
