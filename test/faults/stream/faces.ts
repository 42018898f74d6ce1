import { get } from 'node:http';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import type { CheckedMessage } from '../../support/stream-checker.js';

/** What a client follows: one task, from the message after `after` on. */
export interface Aim {
  url: string;
  token: string;
  task_id: string;
  after: number;
}

/** What a connection tells: messages, anything that should not be there, and its end, once. */
export interface Ears {
  heard: (message: CheckedMessage) => void;
  odd: (what: unknown) => void;
  ended: () => void;
}

/** Opens a connection; returns what cuts it off without a word. */
export type Face = (aim: Aim, ears: Ears) => () => void;

/** The ways to follow a stream, by name. */
export const FACES: Readonly<Record<string, Face>> = {
  'socket.io': overSocketIo,
  websocket: (aim, ears) => overWebSocket(aim, ears, ''),
  batches: (aim, ears) => overWebSocket(aim, ears, '&batch=true'),
  sse: overSse,
};

/** The names of those that this server has. */
export async function facesOf(aim: Aim): Promise<string[]> {
  const hasSse = await new Promise<boolean>((resolve) => {
    const request = get(...sseRequest(aim), (answer) => {
      resolve(answer.headers['content-type']?.startsWith('text/event-stream') === true);
      answer.destroy();
    });
    request.on('error', () => resolve(false));
  });
  return Object.keys(FACES).filter((name) => name !== 'sse' || hasSse);
}

function overSocketIo({ url, token, task_id, after }: Aim, ears: Ears): () => void {
  const options = { transports: ['websocket'], reconnection: false, forceNew: true };
  const socket = io(`${url}/acp`, { auth: { token }, ...options });
  socket.on('acp', (messages: CheckedMessage[]) => messages.forEach((message) => ears.heard(message)));
  socket.on('reset', ears.odd);
  socket.on('connect_error', ears.ended).on('disconnect', ears.ended);
  socket.on('connect', () => {
    socket.emit(
      'subscribe',
      { task_ids: [task_id], after: { [task_id]: after } },
      (answer: { subscribed?: unknown }) => {
        if (!answer.subscribed) socket.disconnect(); // the database is away; the client comes again
      },
    );
  });
  return () => {
    socket.off(); // what a cut connection had still in its buffers is gone
    socket.io.engine.close();
    socket.disconnect();
  };
}

function overWebSocket({ url, token, task_id, after }: Aim, ears: Ears, more: string): () => void {
  const address = `${url.replace(/^http/, 'ws')}/api/v1/orchestrator/tasks/${task_id}/stream?after=${after}${more}`;
  const socket = new WebSocket(address, { headers: { authorization: `Bearer ${token}` } });
  socket.on('error', () => undefined); // told by close as well
  socket.on('close', ears.ended);
  socket.on('message', (frame: Buffer) => hear(JSON.parse(frame.toString()), ears));
  return () => {
    socket.removeAllListeners('message').removeAllListeners('close');
    socket.terminate();
  };
}

function overSse(aim: Aim, ears: Ears): () => void {
  let cut = false;
  const ended = (): void => {
    if (!cut) ears.ended();
    cut = true;
  };
  const request = get(...sseRequest(aim), (answer) => {
    let rest = '';
    if (answer.statusCode !== 200) answer.destroy();
    answer.setEncoding('utf8').on('close', ended);
    answer.on('error', () => undefined); // told by close as well
    answer.on('data', (text: string) => {
      const events = (rest + text).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) if (!cut) hearEvent(event, ears);
    });
  });
  request.on('error', ended);
  return () => {
    cut = true;
    request.destroy();
  };
}

function sseRequest({ url, token, task_id, after }: Aim): [string, { headers: Record<string, string>; agent: false }] {
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${token}`, 'last-event-id': String(after) };
  return [`${url}/api/v1/orchestrator/tasks/${task_id}/stream`, { headers, agent: false }];
}

function hearEvent(event: string, ears: Ears): void {
  const lines = event.split('\n');
  const valueOf = (field: string): string | undefined =>
    lines.find((line) => line.startsWith(`${field}:`))?.slice(field.length + 1);
  const data = valueOf('data');
  if (data === undefined || valueOf('event')?.trim() === 'heartbeat') return;
  const parsed: unknown = JSON.parse(data);
  hear(parsed, ears);
  const id = Number(valueOf('id'));
  const last = [parsed].flat().at(-1) as CheckedMessage;
  if (last.seq !== undefined && id !== last.seq) ears.odd(event);
}

/** A message, an array of them, or a frame of the server's own. */
function hear(frame: unknown, ears: Ears): void {
  for (const message of [frame].flat() as CheckedMessage[]) {
    if (message.seq !== undefined) ears.heard(message);
    else if (message.type !== 'heartbeat' && message.type !== 'ack') ears.odd(message);
  }
}
