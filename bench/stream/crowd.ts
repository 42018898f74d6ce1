/** Many Socket.IO clients in a process of their own, over bare WebSockets: to be a client costs little, so that many fit. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { answerQuestions } from '../lib/child-script.js';
import { percentile } from '../lib/statistics.js';
import { stampOf } from './stamped.js';

/**
 * What it is asked: to open connections and have them subscribe; to wait until all of them had so many messages, answered
 * with what they had; to forget what came so far; to close all.
 */
export type CrowdQuestion =
  ({ ask: 'open' } & Crowd) | { ask: 'wait'; messages: number } | { ask: 'forget' } | { ask: 'close' };

export interface Crowd {
  url: string;
  count: number;
  token?: string;
  /** What they subscribe to; without it they only connect. */
  task_ids?: string[];
  /** From the beginning, not from what comes next. */
  all?: boolean;
  /** How many of them look at the time of each line. */
  timed?: number;
  /** They never read what they are sent. */
  deaf?: boolean;
}

/** What all clients had: frames and messages of one of them, and the milliseconds of stamped lines of those that are timed. */
export interface CrowdAnswer {
  frames: number;
  messages: number;
  p50: number;
  p99: number;
}

const MESSAGES = '42/acp,["acp",[';
const AT_ONCE = 50; // handshakes under way

interface Client {
  socket: WebSocket;
  frames: number;
  messages: number;
}

const clients: Client[] = [];
const deaf: WebSocket[] = [];
let latencies: number[] = [];
let done: { messages: number; tell: () => void } | undefined;

answerQuestions(async (question: CrowdQuestion) => {
  if (question.ask === 'open') return open(question);
  if (question.ask === 'wait') return wait(question.messages);
  if (question.ask === 'close') for (const { socket } of clients.splice(0)) socket.terminate();
  if (question.ask === 'close') for (const socket of deaf.splice(0)) socket.terminate();
  for (const client of clients) [client.frames, client.messages] = [0, 0];
  latencies = [];
  return undefined;
});

async function open(options: Crowd): Promise<void> {
  for (let opened = 0; opened < options.count; opened += AT_ONCE) {
    const some = Math.min(AT_ONCE, options.count - opened);
    await Promise.all(Array.from({ length: some }, (_, i) => connect(options, opened + i < (options.timed ?? 0))));
  }
}

async function connect(options: Crowd, isTimed: boolean): Promise<void> {
  const { url, token, task_ids, deaf: isDeaf } = options;
  const address = `${url.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`;
  const socket = new WebSocket(address, { perMessageDeflate: false, skipUTF8Validation: true });
  const client: Client = { socket, frames: 0, messages: 0 };
  const ready = once(socket, 'ready');
  socket.on('message', (data: Buffer) => {
    if (data[0] === 0x32 /* 2, a ping */ && data.length === 1) return socket.send('3');
    const head = data.toString('latin1', 0, MESSAGES.length);
    if (head === MESSAGES) return hear(client, data, isTimed);
    if (head.startsWith('0')) return socket.send(`40/acp,${JSON.stringify({ token })}`);
    if (head.startsWith('44')) throw new Error(`refused: ${data.toString()}`);
    // Connected; subscribes to what there is, or is at home already.
    if (head.startsWith('40') && task_ids) socket.send(`42/acp,0${JSON.stringify(['subscribe', wish(options)])}`);
    else if (head.startsWith('40') || head.startsWith('43')) socket.emit('ready');
    return undefined;
  });
  await ready;
  if (isDeaf) deaf.push(socket);
  else clients.push(client);
  if (isDeaf) socket.pause();
}

function wish({ task_ids = [], all }: Crowd): object {
  return { task_ids, ...(all && { after: Object.fromEntries(task_ids.map((id) => [id, 0])) }) };
}

function hear(client: Client, data: Buffer, isTimed: boolean): void {
  const now = Number(process.hrtime.bigint());
  client.frames++;
  client.messages += isTimed ? timed(data, now) : countOf(data);
  if (done && client.messages >= done.messages) done.tell();
}

function timed(data: Buffer, now: number): number {
  const [, messages] = JSON.parse(data.toString('utf8', MESSAGES.indexOf('['))) as [
    string,
    Parameters<typeof stampOf>[0][],
  ];
  for (const message of messages) {
    const stamp = stampOf(message);
    if (stamp) latencies.push((now - stamp[1]) / 1e6);
  }
  return messages.length;
}

const ENVELOPE = Buffer.from('{"type":"');

/** Messages in a frame, by the beginnings of their envelopes. */
function countOf(data: Buffer): number {
  let count = 0;
  for (let at = data.indexOf(ENVELOPE); at !== -1; at = data.indexOf(ENVELOPE, at + ENVELOPE.length)) count++;
  return count;
}

async function wait(messages: number): Promise<CrowdAnswer> {
  const behind = (): boolean => clients.some((client) => client.messages < messages);
  await new Promise<void>((resolve) => {
    const tell = (): void => {
      if (behind()) return;
      done = undefined;
      resolve();
    };
    done = { messages, tell };
    tell();
  });
  const [first] = clients;
  const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
  return { frames: first?.frames ?? 0, messages: first?.messages ?? 0, p50, p99 };
}
