import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../../../../test/support/until.js';
import { EngineGuard } from './engine-guard.js';

const CONNECT_WITHIN_MS = 300;
const KEY = '40/in,';

let http: HttpServer;
let io: Server;
let url: string;
let failures: string[];
const sockets: WebSocket[] = [];

/** An engine that lets everybody in who says so, in the time and the numbers of a test. */
beforeEach(async () => {
  failures = [];
  http = createServer();
  io = new Server(http, { connectTimeout: CONNECT_WITHIN_MS, serveClient: false });
  const gatekeeper = {
    allowsOrigin: () => true,
    addressOf: ({ headers }: IncomingMessage) => String(headers['x-address']),
    countFailure: (address: string) => Promise.resolve(void failures.push(address)),
  };
  const guard = new EngineGuard(gatekeeper, { perAddress: 2, inAll: 5 });
  io.of('/in').use((socket, next) => {
    guard.tried(socket.conn);
    if (socket.handshake.auth['token'] === 'wrong') return next(new Error('no'));
    guard.settled(socket.conn);
    next();
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  guard.watch(io.engine);
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/socket.io/?EIO=4&transport=websocket`;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await io.close();
});

/** Opens a transport and says nothing: resolves with the status of the answer. */
async function knock(address: string): Promise<{ status: number; socket: WebSocket; closed: Promise<unknown> }> {
  const socket = new WebSocket(url, { headers: { 'x-address': address } });
  sockets.push(socket);
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return new Promise((resolve) => {
    socket.once('message', () => resolve({ status: 101, socket, closed }));
    socket.once('unexpected-response', (_request, response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, socket, closed });
    });
  });
}

const statuses = async (...addresses: string[]): Promise<number[]> => {
  const found: number[] = [];
  for (const address of addresses) found.push((await knock(address)).status);
  return found;
};

describe('clients that have not shown who they are', () => {
  it('are bounded: of an address, which of IPv6 is a network, and in all', async () => {
    expect(await statuses('10.0.0.1', '10.0.0.1', '10.0.0.1')).toEqual([101, 101, 429]);
    expect(await statuses('2001:db8::1', '2001:db8::ffff:2', '2001:db8::3')).toEqual([101, 101, 429]);
    expect(await statuses('10.0.0.8', '10.0.0.9')).toEqual([101, 429]); // five are in
  });

  it('are hung up on in time, counted as failures, and leave their places', async () => {
    const [first, second] = [await knock('10.0.0.1'), await knock('10.0.0.1')];
    await Promise.all([first.closed, second.closed]);
    await until('both to be counted', () => failures.length === 2);
    expect(failures).toEqual(['10.0.0.1', '10.0.0.1']);
    expect(await statuses('10.0.0.1')).toEqual([101]);
  });

  it('leave their places when they are let in, and are counted once where they are not', async () => {
    const inside = await knock('10.0.0.1');
    const wrong = await knock('10.0.0.1');
    inside.socket.send(`${KEY}{}`);
    await once(inside.socket, 'message');
    wrong.socket.send(`${KEY}{"token":"wrong"}`);
    await wrong.closed;
    inside.socket.close();
    await inside.closed;
    const silent = await knock('10.0.0.2');
    silent.socket.close();
    await until('the one who said nothing to be counted', () => failures.length > 0);
    expect(failures).toEqual(['10.0.0.2']); // what was shown is counted by whoever looks at it
  });
});
