import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, type ClientOptions } from 'ws';
import { ANN, startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { WsTestClient } from '../../../../test/support/stream-clients.js';

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
    const authorization = `Bearer ${await server.token(ANN)}`;
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
