import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ANN, FRIENDLY_ORIGIN, startStreamApp, type StreamApp } from '../../../../test/support/stream-app.js';
import { AcpTestClient } from '../../../../test/support/stream-clients.js';
import { until } from '../../../../test/support/until.js';

let server: StreamApp;
let task: string;
let board: string;
const clients: AcpTestClient[] = [];

beforeAll(async () => void (server = await startStreamApp()));
afterAll(async () => server.app.close());
beforeEach(() => {
  board = server.log.addBoard(ANN);
  task = server.log.addTask(board);
});
afterEach(() => {
  for (const { socket } of clients.splice(0)) socket.disconnect();
});

type Options = ConstructorParameters<typeof AcpTestClient>[2];

function open(token: unknown, options: Options = {}, url = server.url): AcpTestClient {
  const client = new AcpTestClient(url, token, options);
  clients.push(client);
  return client;
}

async function connect(options: Options = {}, seconds?: number): Promise<AcpTestClient> {
  return open(await server.token(ANN, seconds), options).connected();
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

describe('the handshake', () => {
  it('refuses whoever has no sound token, with a code', async () => {
    await expect(open(undefined).connected()).rejects.toMatchObject({ data: { code: 'auth.required' } });
    await expect(open('nonsense').connected()).rejects.toMatchObject({ data: { code: 'auth.invalid_token' } });
    await expect(open({ a: 'b' }).connected()).rejects.toMatchObject({ data: { code: 'auth.required' } });
  });

  it('refuses pages of other origins, but not its own and those of the configuration', async () => {
    await expect(connect({ extraHeaders: { origin: 'http://evil.example' } })).rejects.toThrow(/websocket error/);
    for (const origin of [server.url, FRIENDLY_ORIGIN]) await connect({ extraHeaders: { origin } });
  });

  it('lets nobody stay in the namespace that Socket.IO opens by itself', async () => {
    const root = open(await server.token(ANN));
    root.socket.disconnect();
    const client = root.socket.io.socket('/');
    client.connect();
    const refused = new Promise((resolve) => client.once('connect_error', resolve));
    expect(await refused).toMatchObject({ data: { code: 'stream.namespace' } });
    client.disconnect();
  });
});

describe('subscribe', () => {
  it.each([[['websocket']], [['polling', 'websocket']], [['polling']]])(
    'brings history and what follows, by %j',
    async (transports) => {
      server.log.append(task, 700);
      const client = await connect({ transports });
      const foreign = randomUUID();
      const request = { task_ids: [task.toUpperCase(), foreign], after: { [task]: 0 } };
      const answer = await client.ask('subscribe', request);
      expect(answer).toEqual({ subscribed: [{ task_id: task, head_seq: 700 }], denied: [foreign] });
      // Some before and some after history has been sent: one more lot for each that has come.
      for (let i = 0; i < 20; i++, await client.seqs(Math.min(700, 40 * i))) server.say(task, 5);
      expect(await client.seqs(800)).toEqual(upTo(800));
      expect(client.got[799]).toMatchObject({ type: 'log', task_id: task, agent_id: 'agent', run_id: 'run', seq: 800 });
    },
  );

  it('shares frames between messages that come together', async () => {
    const client = await connect();
    await client.ask('subscribe', { board_ids: [board] });
    for (let i = 0; i < 10; i++) server.say(task, 1);
    expect(await client.seqs(10)).toEqual(upTo(10));
    expect(client.batches).toEqual([10]);
  });

  it('without names means everything, also what comes later; unsubscribe ends it', async () => {
    const client = await connect();
    await client.ask('subscribe');
    const late = server.log.addTask(board);
    server.say(late, 1);
    await client.seqs(1);
    expect(await client.ask('unsubscribe', {})).toEqual({ ok: true });
    server.say(late, 1);
    await client.ask('subscribe', { task_ids: [task] });
    server.say(task, 1);
    await client.seqs(2);
    expect(client.got.map(({ task_id }) => task_id)).toEqual([late, task]);
  });

  it('sends a reset when what is asked for is gone', async () => {
    server.log.append(task, 10);
    server.log.forget(task, 6);
    const client = await connect();
    const reset = client.next('reset');
    await client.ask('subscribe', { task_ids: [task], after: { [task]: 1 } });
    expect(await reset).toEqual({ task_id: task, first_seq: 6 });
    expect(await client.seqs(5)).toEqual([6, 7, 8, 9, 10]);
  });

  it('loses nothing for a client that stops reading for a while', async () => {
    const client = await connect();
    await client.ask('subscribe', { task_ids: [task] });
    client.read(false);
    const reads = server.log.asked.get('ReadMessagesQuery') ?? 0;
    for (let i = 0; i < 400; i++) server.say(task, 100);
    // It had to catch up: its buffer is full, and so is the way to it.
    await until('it is behind', () => (server.log.asked.get('ReadMessagesQuery') ?? 0) > reads);
    client.read(true);
    expect(await client.seqs(40_000)).toEqual(upTo(40_000));
  }, 20_000);
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
    const client = await connect();
    expect((await client.ask(event, body)).error?.code).toBe(code);
    const error = client.next('error');
    client.socket.emit(event, body); // asks for no answer
    expect(await error).toMatchObject({ code });
    expect(await client.ask('unsubscribe', {})).toEqual({ ok: true });
  });

  it('passes control on to the orchestrator as the user', async () => {
    const client = await connect();
    const stop = { task_id: task, action: 'stop', reason: 'enough', force: true };
    expect(await client.ask('control', stop)).toMatchObject({ ok: true, run: { task_id: task, state: 'STOPPING' } });
    await client.ask('control', { task_id: task, action: 'start' });
    const actor = { user_id: ANN, role: 'member' };
    expect(server.commands).toMatchObject([
      { actor, task_id: task, reason: 'enough', force: true },
      { actor, task_id: task, options: { force: false } },
    ]);
  });
});

it('tells the client why when its token expires, and closes', async () => {
  const client = await connect({}, 1);
  const [error, reason] = await Promise.all([client.next('error'), client.next('disconnect')]);
  expect(error).toMatchObject({ code: 'auth.token_expired' });
  expect(reason).toBe('io server disconnect');
});
