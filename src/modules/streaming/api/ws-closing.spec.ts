import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { ANN, startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { until } from '../../../../test/support/until.js';
import { StreamConnections } from '../app/stream-connections.js';
import { WsClients } from './ws-clients.js';

const COUNT = 20_000; // 40 pages at least
const CLOSE_FRAME = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]); // masked with zeros, code 1000

let server: StreamApp;
const sockets: Socket[] = [];

beforeAll(async () => void (server = await startStreamApp()));
afterAll(async () => server.app.close());
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A client that keeps its side open whatever the server does; `more` goes out with the handshake. */
async function upgrade(task: string, more: Buffer): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  sockets.push(socket);
  const head = [
    `GET /api/v1/orchestrator/tasks/${task}/stream?after=0 HTTP/1.1`,
    ...['Host: x', 'Upgrade: websocket', 'Connection: Upgrade'],
    ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
    `Authorization: Bearer ${await server.token(ANN)}`,
  ];
  socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), more]));
  return socket;
}

function longTask(): string {
  const task = server.log.addTask(server.log.addBoard(ANN));
  server.log.append(task, COUNT);
  server.log.asked.clear();
  return task;
}

const pagesRead = (): number => server.log.asked.get('ReadMessagesQuery') ?? 0;
const open = (): number => server.app.get(StreamConnections).all.length;

it('reads no history for a client that has said goodbye and stays', async () => {
  const socket = await upgrade(longTask(), CLOSE_FRAME);
  socket.resume();
  await once(socket, 'end'); // the server has answered the close frame
  await until('its reader is gone', () => open() === 0);
  expect(socket.writable).toBe(true);
  expect(pagesRead()).toBeLessThanOrEqual(2);
});

it('ends a reader whose client says goodbye without reading', async () => {
  const socket = await upgrade(longTask(), Buffer.alloc(0));
  socket.pause();
  await until('it is behind', () => pagesRead() > 0);
  const before = server.app.get(StreamConnections).all.length;
  socket.write(CLOSE_FRAME);
  await until('its reader is gone', () => {
    server.app.get(WsClients).keepAlive(Date.now());
    return open() === 0;
  });
  expect(before).toBe(1);
  expect(socket.destroyed).toBe(false);
  socket.resume();
  await once(socket, 'end');
});
