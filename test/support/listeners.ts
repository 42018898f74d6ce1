import { once } from 'node:events';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { until } from './until.js';

/** A client that streams one task, and keeps all it was sent, in the order it came. */
export interface Listener {
  readonly messages: AcpMessage[];
  /** Whatever was sent besides messages, acknowledgements and heartbeats: there should be none. */
  readonly oddities: unknown[];
  close(): void;
}

/** What a listener speaks to. */
export interface StreamTarget {
  url: string;
  token: string;
  task_id: string;
  /** The last `seq` that the client has. */
  after: number;
}

interface SubscribeAnswer {
  subscribed?: { task_id: string; head_seq: number }[];
  error?: unknown;
}

/** Streams over Socket.IO; resolves when subscribed, with the head of the task's stream at that moment. */
export async function listenOverSocketIo(target: StreamTarget): Promise<Listener & { head_seq: number }> {
  const socket = io(`${target.url}/acp`, {
    auth: { token: target.token },
    transports: ['websocket'],
    reconnection: false,
    forceNew: true,
  });
  const messages: AcpMessage[] = [];
  const oddities: unknown[] = [];
  socket.on('acp', (batch: AcpMessage[]) => {
    for (const message of batch) messages.push(message);
  });
  for (const event of ['reset', 'error', 'connect_error']) socket.on(event, (data) => oddities.push({ event, data }));
  const answer = (await socket.timeout(10_000).emitWithAck('subscribe', {
    task_ids: [target.task_id],
    after: { [target.task_id]: target.after },
  })) as SubscribeAnswer;
  const head_seq = answer.subscribed?.find(({ task_id }) => task_id === target.task_id)?.head_seq;
  if (head_seq === undefined) throw new Error(`not subscribed: ${JSON.stringify(answer)}`);
  return { messages, oddities, head_seq, close: () => socket.disconnect() };
}

/** Streams over a plain WebSocket, one message a frame; resolves when it is open. */
export async function listenOverWebSocket(target: StreamTarget): Promise<Listener> {
  const address = `${target.url.replace(/^http/, 'ws')}/api/v1/orchestrator/tasks/${target.task_id}/stream`;
  const headers = { authorization: `Bearer ${target.token}` };
  const socket = new WebSocket(`${address}?after=${target.after}`, { headers });
  const messages: AcpMessage[] = [];
  const oddities: unknown[] = [];
  socket.on('message', (frame: Buffer) => {
    const message = JSON.parse(frame.toString()) as AcpMessage;
    if (message.seq !== undefined) messages.push(message);
    else if (message.type !== 'heartbeat') oddities.push(message);
  });
  await once(socket, 'open');
  return { messages, oddities, close: () => socket.terminate() };
}

/** Waits until the listener has what is numbered `seq`, and returns all it has. */
export async function heard(listener: Listener, seq: number, limitMs = 30_000): Promise<AcpMessage[]> {
  await until(`message ${seq} of the stream`, () => (listener.messages.at(-1)?.seq ?? 0) >= seq, limitMs);
  return listener.messages;
}
