import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, type ClientOptions } from 'ws';
import { ANN, startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { WsTestClient } from '../../../../test/support/stream-clients.js';
import { until } from '../../../../test/support/until.js';
import { WsClients } from './ws-clients.js';

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
    const closed = dead.closed();
    const pinged = once(dead.socket, 'ping');
    server.app.get(WsClients).keepAlive(Date.now() + 31_000);
    await pinged;
    server.app.get(WsClients).keepAlive(Date.now() + 62_000);
    expect((await closed)[0]).toBe(1006);
  });

  it('is closed when the token expires, and when a frame is too large', async () => {
    const [expiring, large] = [await open(GLOBAL, {}, 1), await open(GLOBAL)];
    large.socket.send(' '.repeat(65_537));
    expect((await large.closed())[0]).toBe(1009);
    expect(await expiring.closed()).toEqual([1008, expect.stringMatching(/^auth\.token_expired: /)]);
  });
});

it('says goodbye at shutdown and waits for nobody who does not listen', async () => {
  const doomed = await startStreamApp();
  const board_ = doomed.log.addBoard(ANN);
  const headers = { authorization: `Bearer ${await doomed.token(ANN)}` };
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
  expect(Date.now() - start).toBeLessThan(5_000);
  const [code, reason] = await closed;
  expect([code, reason.toString()]).toEqual([1001, 'server.shutting_down: server shutting down']);
  deaf.terminate();
  stranger.destroy();
}, 20_000);
