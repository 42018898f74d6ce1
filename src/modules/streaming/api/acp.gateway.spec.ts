import { randomUUID } from 'node:crypto';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AcpMessage } from '../../../common/acp/acp-message.js';
import { startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { until } from '../../../../test/support/until.js';

let server: StreamApp;
let task: string;
let board: string;
const sockets: Socket[] = [];

beforeAll(async () => void (server = await startStreamApp()));
afterAll(async () => server.app.close());
beforeEach(() => {
  board = server.log.addBoard('ann');
  task = server.log.addTask(board);
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
});

type Options = Partial<ManagerOptions & SocketOptions>;
type Answer = Record<string, unknown> & { error?: { code: string; errors?: { field: string }[] } };

function open(token: unknown, options: Options = {}): Socket {
  const socket = io(`${server.url}/acp`, {
    auth: { token },
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
    ...options,
  });
  sockets.push(socket);
  return socket;
}

async function connect(
  options: Options = {},
  seconds?: number,
): Promise<{ socket: Socket; got: AcpMessage[]; batches: number[] }> {
  const socket = open(await server.token('ann', seconds), options);
  const got: AcpMessage[] = [];
  const batches: number[] = [];
  socket.on('acp', (messages: AcpMessage[]) => {
    got.push(...messages);
    batches.push(messages.length);
  });
  await new Promise<void>((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject));
  return { socket, got, batches };
}

const ask = (socket: Socket, event: string, ...args: unknown[]): Promise<Answer> =>
  socket.timeout(5_000).emitWithAck(event, ...args) as Promise<Answer>;

const refusal = (socket: Socket): Promise<Error & { data?: { code: string } }> =>
  new Promise((resolve) => socket.on('connect_error', resolve));

describe('the handshake', () => {
  it('refuses whoever has no sound token, with a code', async () => {
    expect((await refusal(open(undefined))).data).toEqual({ code: 'auth.required' });
    expect((await refusal(open('nonsense'))).data).toEqual({ code: 'auth.invalid_token' });
    expect((await refusal(open({ toString: 'x' }))).data).toEqual({ code: 'auth.required' });
  });

  it('refuses pages of other origins and every namespace but /acp', async () => {
    expect(
      (await refusal(open(await server.token('ann'), { extraHeaders: { origin: 'http://evil.example' } }))).message,
    ).toMatch(/error/);
    const root = io(server.url, { transports: ['websocket'], forceNew: true, reconnection: false });
    sockets.push(root);
    expect((await refusal(root)).data).toEqual({ code: 'stream.namespace' });
    await connect({ extraHeaders: { origin: server.url } });
  });
});

describe('subscribe', () => {
  it.each([[['websocket']], [['polling', 'websocket']], [['polling']]])(
    'brings history and what follows, by %j',
    async (transports) => {
      server.log.append(task, 700);
      const { socket, got } = await connect({ transports });
      const foreign = randomUUID();
      const answer = await ask(socket, 'subscribe', { task_ids: [task.toUpperCase(), foreign], after: { [task]: 0 } });
      expect(answer).toEqual({ subscribed: [{ task_id: task, head_seq: 700 }], denied: [foreign] });
      for (let i = 0; i < 20; i++, await new Promise((resolve) => setTimeout(resolve, 2))) server.say(task, 5);
      await until('all messages', () => got.length >= 800);
      expect(got.map(({ seq }) => seq)).toEqual(Array.from({ length: 800 }, (_, i) => i + 1));
      expect(got[799]).toMatchObject({ type: 'log', task_id: task, agent_id: 'agent', run_id: 'run', seq: 800 });
    },
  );

  it('shares frames between messages that come together', async () => {
    const { socket, got, batches } = await connect();
    await ask(socket, 'subscribe', { board_ids: [board] });
    for (let i = 0; i < 10; i++) server.say(task, 1);
    await until('all messages', () => got.length === 10);
    expect(batches).toEqual([10]);
  });

  it('without names means everything, also what comes later; unsubscribe ends it', async () => {
    const { socket, got } = await connect();
    await ask(socket, 'subscribe');
    const late = server.log.addTask(board);
    server.say(late, 1);
    await until('a task that was not there', () => got.length === 1);
    expect(await ask(socket, 'unsubscribe', {})).toEqual({ ok: true });
    server.say(late, 1);
    await ask(socket, 'subscribe', { task_ids: [task] });
    server.say(task, 1);
    await until('the named task', () => got.length === 2);
    expect(got.map(({ task_id }) => task_id)).toEqual([late, task]);
  });

  it('sends a reset when what is asked for is gone', async () => {
    server.log.append(task, 10);
    server.log.forget(task, 6);
    const { socket, got } = await connect();
    const reset = new Promise((resolve) => socket.on('reset', resolve));
    await ask(socket, 'subscribe', { task_ids: [task], after: { [task]: 1 } });
    expect(await reset).toEqual({ task_id: task, first_seq: 6 });
    await until('what is left', () => got.length === 5);
  });
});

describe('requests', () => {
  it.each([
    ['an id that is none', 'subscribe', { task_ids: ['1'] }, 'request.invalid'],
    ['ids that are no list', 'subscribe', { task_ids: 'all' }, 'request.invalid'],
    ['a position of no task', 'subscribe', { after: { x: 1 } }, 'request.invalid'],
    ['a negative position', 'subscribe', { after: { [randomUUID()]: -1 } }, 'request.invalid'],
    ['an unknown field', 'subscribe', { tasks: [] }, 'request.invalid'],
    ['too many ids', 'subscribe', { task_ids: Array.from({ length: 1_001 }, () => randomUUID()) }, 'request.invalid'],
    ['an array', 'subscribe', [1, 2], 'request.invalid'],
    ['a text', 'subscribe', 'nonsense', 'request.invalid'],
    ['a number', 'unsubscribe', 7, 'request.invalid'],
    ['null', 'control', null, 'request.invalid'],
    ['no action', 'control', { task_id: randomUUID() }, 'request.invalid'],
    ['an unknown task', 'control', { task_id: randomUUID(), action: 'stop' }, 'task.not_found'],
    ['an unknown action', 'control', { task_id: randomUUID(), action: 'fly' }, 'control.unsupported_action'],
  ])('answers %s with a problem (%s)', async (_, event, body: unknown, code) => {
    const { socket } = await connect();
    expect((await ask(socket, event, body)).error?.code).toBe(code);
    const error = new Promise((resolve) => socket.once('error', resolve));
    socket.emit(event, body); // asks for no answer
    expect(await error).toMatchObject({ code });
    expect(await ask(socket, 'unsubscribe', {})).toEqual({ ok: true });
  });

  it('passes control on to the orchestrator as the user', async () => {
    const { socket } = await connect();
    const answer = await ask(socket, 'control', { task_id: task, action: 'stop', reason: 'enough', force: true });
    expect(answer).toMatchObject({ ok: true, run: { task_id: task, state: 'STOPPING' } });
    await ask(socket, 'control', { task_id: task, action: 'start' });
    const actor = { user_id: 'ann', role: 'member' };
    expect(server.commands).toMatchObject([
      { actor, task_id: task, reason: 'enough', force: true },
      { actor, task_id: task, options: { force: false } },
    ]);
  });
});

describe('the end', () => {
  it('comes with a reason when the token expires', async () => {
    const { socket } = await connect({}, 1);
    const error = new Promise((resolve) => socket.on('error', resolve));
    const reason = new Promise((resolve) => socket.on('disconnect', resolve));
    expect(await error).toMatchObject({ code: 'auth.token_expired' });
    expect(await reason).toBe('io server disconnect');
  });

  it('loses nothing for a client that stops reading for a while', async () => {
    const { socket, got } = await connect();
    await ask(socket, 'subscribe', { task_ids: [task] });
    const raw = rawSocket(socket);
    raw.pause();
    const reads = server.log.asked.get('ReadMessagesQuery') ?? 0;
    for (let i = 0; i < 400; i++) server.say(task, 100);
    await new Promise((resolve) => setTimeout(resolve, 100));
    raw.resume();
    await until('all messages', () => got.length >= 40_000);
    expect(server.log.asked.get('ReadMessagesQuery')).toBeGreaterThan(reads); // it had to catch up
    expect(got.every(({ seq }, i) => seq === i + 1)).toBe(true);
  });
});

/** The TCP connection below a Socket.IO client on the WebSocket transport. */
function rawSocket(socket: Socket): { pause(): void; resume(): void } {
  const transport = socket.io.engine.transport as unknown as { ws: { _socket: { pause(): void; resume(): void } } };
  return transport.ws._socket;
}
