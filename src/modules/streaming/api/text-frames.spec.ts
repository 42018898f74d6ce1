import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { textFrames } from './text-frames.js';

it('writes what a WebSocket client reads, at every length of the head', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  const upgraded = once(server, 'connection') as Promise<[WebSocket, { socket: Duplex }]>;
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const heard: string[] = [];
  client.on('message', (data: Buffer) => heard.push(data.toString()));
  const [, { socket }] = await upgraded;
  // Two bytes of UTF-8 for each é: lengths are those of bytes.
  const texts = ['', 'é', 'a'.repeat(125), 'é'.repeat(63), 'a'.repeat(65_535), 'é'.repeat(32_768), 'last'];
  socket.write(textFrames(texts));
  while (heard.length < texts.length) await once(client, 'message');
  expect(heard).toEqual(texts);
  client.terminate();
  server.close();
});
