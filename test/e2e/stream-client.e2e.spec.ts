import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type * as Client from '../../clients/typescript/src/index.js';
import { PASSWORD } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

/** The client as it is installed by its users. */
const DIST = join(import.meta.dirname, '../../clients/typescript/dist');
const QUICK = { reconnect: { minMs: 20, maxMs: 200 } };

/** Writes a numbered line each few milliseconds, until it is stopped. */
const COUNTER = `
let n = 0;
setInterval(() => process.stdout.write(JSON.stringify({ type: 'log', data: { level: ++n % 10 ? 'info' : 'warn', message: String(n) } }) + '\\n'), 4);
process.on('SIGTERM', () => process.exit(0));
setTimeout(() => process.exit(1), 120_000); // nobody may be left to stop it
`;

let client: typeof Client;
let server: TestServer;
let owner: TestUser;
let proxy: TcpProxy;
let streams: Client.StreamClient | undefined;

beforeAll(async () => {
  client = (await import(join(DIST, 'index.js'))) as typeof Client;
  server = await TestServer.start();
  proxy = await TcpProxy.open(portOf(server));
  owner = await server.newUser();
  await owner.createAgentType({ name: 'counter', runtime: 'process', command: ['node', '-e', COUNTER] });
});
afterAll(async () => {
  await proxy.close();
  await server.dispose();
});
afterEach(() => streams?.close());

/** The server, under one address wherever it listens. */
async function startServer(): Promise<void> {
  await server.start();
  proxy.target = portOf(server);
}

const portOf = ({ url }: TestServer): number => Number(new URL(url).port);

function connect(user: TestUser): Client.StreamClient {
  const { access_token, refresh_token } = user.tokens!;
  const baseUrl = proxy.through(server.url);
  const kandev = client.createKandev({ baseUrl, session: { access_token, refresh_token } });
  streams = new client.StreamClient({ baseUrl, kandev, ...QUICK });
  return streams;
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);
const numbers = (messages: readonly Client.StreamMessage[]): number[] =>
  messages.filter(({ type }) => type === 'log').map(({ data }) => Number(data.message));

async function end(task: string): Promise<number> {
  await owner.must(200, 'POST', `/orchestrator/tasks/${task}/stop`, { force: true });
  await owner.untilRun(task, ['CANCELLED']);
  const sql = 'select head_seq from task_streams where task_id = $1';
  return Number((await query<{ head_seq: string }>(server.database.url, sql, [task]))[0]?.head_seq);
}

describe('the stream client', () => {
  it('gets every line once and in order, by each way to subscribe, while the server dies three times', async () => {
    const board = await owner.createBoard();
    const task = (await owner.createTask(board, { agent_type: 'counter' })).id;
    const sdk = connect(owner);
    const got = { task: [], named: [], board: [], all: [], present: [] } as Record<string, Client.StreamMessage[]>;
    const warnings: Client.StreamMessage[] = [];
    const open = new Set<string>();
    const into = (name: string) => (message: Client.StreamMessage) =>
      message.task_id === task && got[name]?.push(message);
    const onState = (name: string) => ({
      onState: (now: Client.StreamState) => now.state === 'open' && open.add(name),
    });
    const subscriptions = [
      sdk.onMessage(task, into('task'), { after: 0, ...onState('task') }),
      sdk.onMessage(task, into('present'), onState('present')),
      sdk.onMessage({ task_ids: [task], after: { [task]: 0 }, ...onState('named') }, into('named')),
      sdk.onMessage({ board_ids: [board], ...onState('board') }, into('board')),
      sdk.onMessage(onState('all'), into('all')),
    ];
    await until('all to be open', () => open.size === 5);
    await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
    for (const end_ of ['kill', 'stop', 'kill'] as const) {
      const known = got['task']!.length;
      await until('more lines', () => Object.values(got).every((messages) => messages.length > known + 50));
      await server[end_]();
      await startServer();
    }
    const known = got['task']!.length;
    await until('more lines', () => Object.values(got).every((messages) => messages.length > known + 50));
    const last = await end(task);
    for (const [name, messages] of Object.entries(got)) {
      await until(`${name} to have all`, () => messages.at(-1)?.seq === last);
      expect(messages.map(({ seq }) => seq)).toEqual(upTo(last));
      expect(numbers(messages)).toEqual(upTo(numbers(messages).length));
    }
    for (const subscription of subscriptions) {
      subscription.close();
      await subscription.done;
      expect(subscription.positions[task]).toBe(last);
    }
    for await (const message of sdk.messages(task, { after: 0, types: ['log', 'status'], min_level: 'warn' })) {
      if (message.type === 'log') warnings.push(message);
      if (message.seq === last) break;
    }
    expect(numbers(warnings)).toEqual(numbers(got['task']!).filter((n) => n % 10 === 0));
  });

  it('finds tasks that came while it was away, on a board and among all that it may see', async () => {
    const board = await owner.createBoard();
    const sdk = connect(owner);
    const seen: Record<string, Client.StreamMessage[]> = { board: [], all: [] };
    let open = 0;
    const onState = ({ state }: Client.StreamState) => void (open += Number(state === 'open'));
    const subscriptions = [
      sdk.onMessage({ board_ids: [board], onState }, (message) => seen['board']?.push(message)),
      sdk.onMessage({ onState }, (message) => seen['all']?.push(message)),
    ];
    await until('both to be open', () => open === 2);
    proxy.target = undefined; // until the task has spoken
    proxy.cutAll();
    const task = (await owner.createTask(board, { agent_type: 'counter' })).id;
    await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
    await until('some lines', async () => (await owner.logs(task)).length > 50);
    proxy.target = portOf(server);
    await until('some lines', () => seen['all']!.length > 50);
    const last = await end(task);
    for (const messages of Object.values(seen)) {
      await until('all', () => messages.filter(({ task_id }) => task_id === task).at(-1)?.seq === last);
      expect(messages.filter(({ task_id }) => task_id === task).map(({ seq }) => seq)).toEqual(upTo(last));
    }
    for (const subscription of subscriptions) subscription.close();
  });

  it('renews its sign-in when the access token ends, and gives up when the sign-in does', async () => {
    const task = (await owner.createTask(await owner.createBoard(), { agent_type: 'counter' })).id;
    const { body } = await owner.post<Client.SignedIn>('/auth/login', {
      ...{ email: (await owner.get<{ email: string }>('/auth/me')).body.email, password: PASSWORD },
    });
    const renewed: Client.Session[] = [];
    const kandev = client.createKandev({
      baseUrl: server.url,
      session: body,
      onSession: (pair) => void renewed.push(pair),
    });
    const ends: string[] = [];
    streams = new client.StreamClient({ baseUrl: server.url, kandev, ...QUICK });
    const got: Client.StreamMessage[] = [];
    const subscription = streams.onMessage(task, (message) => got.push(message), {
      after: 0,
      onState: (now) => now.state === 'waiting' && ends.push(now.reason),
    });
    const done = subscription.done.then(
      () => undefined,
      (error: unknown) => error,
    );
    await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
    await until('some lines', () => got.length > 20);
    const receipt = await subscription.control(task, { action: 'stop', force: true });
    expect(receipt.run).toMatchObject({ task_id: task });
    await client.createKandev({ baseUrl: server.url, token: body.access_token }).logout({
      body: { refresh_token: body.refresh_token },
    });
    expect(await done).toMatchObject({ status: 401, code: expect.stringMatching(/^auth\./) });
    expect(ends).toEqual([expect.stringMatching(/^auth\./)]);
    expect(got.map(({ seq }) => seq)).toEqual(upTo(got.length));
  });

  it('says what it may not see', async () => {
    const task = (await owner.createTask(await owner.createBoard())).id;
    const sdk = connect(await server.newUser());
    const read = async (stream: Client.MessageStream) => {
      for await (const _ of stream) break;
    };
    for (const options of [{ after: 0 }, {}]) {
      await expect(read(sdk.messages(task, options))).rejects.toMatchObject({ status: 404, code: 'task.not_found' });
    }
    const denied = await new Promise((resolve) => sdk.messages({ task_ids: [task], onDenied: resolve }));
    expect(denied).toEqual([task]);
    await expect(sdk.control(task, { action: 'stop' })).rejects.toMatchObject({ code: 'task.not_found' });
    const nobody = new client.StreamClient({ baseUrl: server.url, token: 'nonsense' });
    await expect(read(nobody.messages(task))).rejects.toMatchObject({ status: 401 });
  });

  it('is fit for browsers: nothing in it is of Node, and the streams alone need no REST client', () => {
    const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) {
      const text = readFileSync(join(DIST, file), 'utf8');
      expect(text, file).not.toMatch(/\b(?:from|import)\s*\(?\s*['"](?!\.)/); // neither node: nor any package
      expect(text, file).not.toMatch(/\b(?:process|Buffer|require|__dirname|setImmediate)\b[.(]/);
      if (file.startsWith('stream')) expect(text, file).not.toMatch(/from '[^']*generated/);
    }
  });
});
