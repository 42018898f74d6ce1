import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ClientOptions, WebSocket } from 'ws';
import { ANN, startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { WsTestClient } from '../../../../test/support/stream-clients.js';
import { until } from '../../../../test/support/until.js';

let server: StreamApp;
let task: string;
let board: string;
const sockets: WebSocket[] = [];

beforeAll(async () => void (server = await startStreamApp()));
afterAll(async () => server.app.close());
beforeEach(() => {
  board = server.log.addBoard(ANN);
  task = server.log.addTask(board);
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
});

const GLOBAL = '/api/v1/orchestrator/stream';
const ofTask = (id: string): string => `/api/v1/orchestrator/tasks/${id}/stream`;

async function open(path: string, options: ClientOptions = {}, seconds?: number): Promise<WsTestClient> {
  const headers = { authorization: `Bearer ${await server.token(ANN, seconds)}` };
  const client = await WsTestClient.open(server.url + path, { headers, ...options });
  sockets.push(client.socket);
  return client;
}

describe('the stream of a task', () => {
  it('brings history and what follows, one message a frame, exactly the envelope', async () => {
    const [first] = server.log.append(task, 700);
    const token = await server.token(ANN);
    const client = await open(`${ofTask(task)}?after=0&token=${token}`, { headers: {} });
    await until('history', () => client.frames.length >= 100);
    // Some before and some after history has been sent: one more lot for each that has come.
    for (let i = 0; i < 20; i++, await client.seqs(100 + 30 * i)) server.say(task, 5);
    expect(await client.seqs(800)).toEqual(Array.from({ length: 800 }, (_, i) => i + 1));
    expect(client.frames[0]).toEqual(JSON.parse(first!.json));
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
      actor: { user_id: ANN },
      task_id: task,
      reason: 'enough',
      force: false,
    });
    for (const [request, code] of [
      [{ type: 'control', action: 'fly' }, 'control.unsupported_action'],
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
    await until('it is behind', () => (server.log.asked.get('ReadMessagesQuery') ?? 0) > reads);
    client.socket.resume();
    expect(await client.seqs(40_000)).toEqual(Array.from({ length: 40_000 }, (_, i) => i + 1));
  }, 20_000);
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
