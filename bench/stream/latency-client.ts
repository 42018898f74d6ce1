/** One client in a process of its own that notes how old each stamped line is when it has it. */
import { once } from 'node:events';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { answerQuestions } from '../lib/child-script.js';
import { stampOf } from './stamped.js';

/**
 * What it is asked: to listen, answered when it is subscribed; to wait until so many lines have come; and to end, answered
 * with the milliseconds of each when all have come.
 */
export type LatencyQuestion =
  | {
      ask: 'listen';
      face: 'socket.io' | 'websocket' | 'raw';
      url: string;
      token?: string;
      task_id?: string;
      lines: number;
    }
  | { ask: 'wait'; lines: number }
  | { ask: 'end' };

type Message = Parameters<typeof stampOf>[0];

const SUBSCRIBE_MS = 10_000;
const SILENCE_MS = 30_000; // an agent's start on a busy machine takes some seconds
let latencies = new Float64Array(0);
let next = 0;
let all = Promise.resolve();
let reached: { lines: number; tell: () => void } | undefined;
let close: () => void = () => undefined;

answerQuestions(async (question: LatencyQuestion) => {
  if (question.ask === 'listen') return listen(question);
  if (question.ask === 'wait') {
    const there = new Promise<void>((tell) => (reached = { lines: question.lines, tell }));
    return next >= question.lines ? undefined : Promise.race([there, all]);
  }
  await all.finally(() => close());
  return latencies;
});

async function listen({ face, url, token, task_id, lines }: LatencyQuestion & { ask: 'listen' }): Promise<void> {
  latencies = new Float64Array(lines);
  next = 0;
  let succeed: () => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  all = new Promise((resolve, reject) => ([succeed, fail] = [resolve, reject]));
  all.catch(() => undefined);
  const silence = setTimeout(() => fail(new Error(`no line has come after ${next} of ${lines}`)), SILENCE_MS);
  const hear = (messages: Message[]): void => {
    silence.refresh();
    const now = Number(process.hrtime.bigint());
    for (const message of messages) {
      const stamp = stampOf(message);
      if (!stamp) continue;
      if (stamp[0] !== next) fail(new Error(`line ${stamp[0]} came where ${next} should have`));
      latencies[next++] = (now - stamp[1]) / 1e6;
    }
    if (reached && next >= reached.lines) reached.tell();
    if (next === lines) succeed();
  };
  const gone = (why: unknown): void => fail(new Error(`the stream has ended after ${next} lines: ${String(why)}`));
  if (face === 'websocket') {
    const address = `${url.replace(/^http/, 'ws')}/api/v1/orchestrator/tasks/${task_id}/stream`;
    const socket = new WebSocket(address, { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false });
    socket.on('message', (frame: Buffer) => hear([JSON.parse(frame.toString()) as Message]));
    close = () => {
      clearTimeout(silence);
      socket.close();
    };
    await once(socket, 'open');
    socket.on('close', gone);
    return;
  }
  const options = { transports: ['websocket'], reconnection: false, forceNew: true };
  const socket = face === 'raw' ? io(url, options) : io(`${url}/acp`, { ...options, auth: { token } });
  socket.on('acp', hear).on('disconnect', gone);
  close = () => {
    clearTimeout(silence);
    socket.disconnect();
  };
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
  if (face === 'raw') return;
  const answer = (await socket.timeout(SUBSCRIBE_MS).emitWithAck('subscribe', { task_ids: [task_id] })) as {
    subscribed?: unknown[];
  };
  if (answer.subscribed?.length !== 1) throw new Error(`not subscribed: ${JSON.stringify(answer)}`);
}
