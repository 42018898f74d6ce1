import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { SseTestClient } from '../../../../test/support/sse-client.js';
import { until } from '../../../../test/support/until.js';
import { StreamConnections } from '../app/stream-connections.js';
import { StreamQuotas } from '../app/stream-quotas.js';

const CLIENTS = 8;
const STREAM = '/orchestrator/stream';

let server: StreamApp;
let users = 0;

beforeAll(async () => {
  server = await startStreamApp();
  Logger.overrideLogger(false); // refusals of those who have left
});
afterAll(async () => {
  await server.app.close();
  Logger.overrideLogger(['log', 'warn', 'error']);
});

const connections = () => server.app.get(StreamConnections).all;

/** Somebody who has never asked for anything, so that nobody remembers them; and a task with a finished run. */
async function newcomer() {
  const user = `019ac1a5-7c1e-7000-8000-${String(++users).padStart(12, '0')}`;
  const task = server.log.addTask(server.log.addBoard(user));
  server.log.append(task, 5);
  return { user, task, token: await server.token(user) };
}

/** Holds answers back until the function that is returned is called. */
function hold(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.log.held = promise;
  return () => {
    server.log.held = undefined;
    resolve();
  };
}

/** Nobody is there, and all that was under way is done: one who comes now is served to the end. */
async function nobodyIsLeft(user: string): Promise<void> {
  await until('all questions to be answered', () => server.log.waiting === 0);
  const last = await newcomer();
  const client = await SseTestClient.open(server.url + STREAM, { token: last.token });
  await until('the receipt', () => client.events.length > 0);
  client.close();
  await until('it to be gone', () => server.app.get(StreamQuotas).connectionsOf(last.user) === 0);
  expect(connections()).toEqual([]);
  expect(server.app.get(StreamQuotas).connectionsOf(user)).toBe(0);
}

/** Asks, and leaves when the server is at the question; `asked` of them are to wait. */
async function askAndLeave(path: string, token: string, asked: number): Promise<void> {
  const leaving = Array.from({ length: CLIENTS }, () => {
    const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' };
    const asking = request(server.url + path, { headers, agent: new Agent({ keepAlive: false }) });
    return asking.on('error', () => undefined).end();
  });
  await until('the server to be asked', () => server.log.waiting >= asked);
  for (const asking of leaving) asking.destroy();
  const open = (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.app.getHttpServer().getConnections((error: Error | null, count: number) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  await until('all to have left', async () => (await open()) === 0);
}

it.each([
  ['all', () => STREAM],
  ['a task', (task: string) => `/orchestrator/tasks/${task}/stream?after=0`],
  ['a replay', (task: string) => `/orchestrator/tasks/${task}/stream?at_speed=1`],
])('a client that leaves while it is looked up who it is leaves no stream of %s', async (_, pathOf) => {
  const { user, task, token } = await newcomer();
  const release = hold();
  await askAndLeave(pathOf(task), token, 1); // they share one look
  release();
  await nobodyIsLeft(user);
});

it.each([
  ['all', () => STREAM],
  ['a task', (task: string) => `/orchestrator/tasks/${task}/stream?after=0`],
  ['a replay', (task: string) => `/orchestrator/tasks/${task}/stream?at_speed=1`],
])('a client that leaves while it is looked what it may see leaves no stream of %s', async (_, pathOf) => {
  const { user, task, token } = await newcomer();
  const known = await SseTestClient.open(server.url + STREAM, { token });
  known.close();
  await until('it to have left', () => connections().length === 0);
  const release = hold();
  await askAndLeave(pathOf(task), token, CLIENTS);
  release();
  await nobodyIsLeft(user);
});

it('streams that wait behind another one on the same connection go with it', async () => {
  const { user, token, task } = await newcomer();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  socket.write(get(STREAM).repeat(3) + get(`/orchestrator/tasks/${task}/stream?at_speed=1`));
  await until('all of them', () => connections().length === 4);
  socket.destroy();
  await until('them to be gone', () => connections().length === 0);
  await nobodyIsLeft(user);
});
