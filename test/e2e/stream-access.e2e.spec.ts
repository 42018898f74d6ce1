import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import { AcpTestClient, WsTestClient } from '../support/stream-clients.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const JWT_SECRET = 'of these tests alone: 0123456789abcdef0123456789abcdef';
const STREAM = '/api/v1/orchestrator/stream';

/** Writes some lines a millisecond until it is stopped. */
const DRIP = `
let n = 0;
setInterval(() => { for (let i = 0; i < 3; i++) console.log(JSON.stringify({ type: 'log', data: { message: String(++n) } })) }, 1);
process.on('SIGTERM', () => process.exit(0));
`;

let here: TestServer;
let there: TestServer; // another process on the same database; agents are looked after here
let admin: TestUser;
let owner: TestUser;
let board: string;
const closers: (() => void)[] = [];

beforeAll(async () => {
  const env = { JWT_SECRET };
  here = await TestServer.start(env);
  there = await TestServer.start({ ...env, DATABASE_URL: here.database.url, KANDEV_ROLE: 'api' });
  admin = await here.newUser('admin');
  owner = await here.newUser('owner');
  board = await owner.createBoard();
  await admin.createAgentType({ name: 'drip', runtime: 'process', command: ['node', '-e', DRIP] });
});
afterAll(async () => {
  for (const close of closers) close();
  await there.dispose();
  await here.dispose();
});

/** A client of any face: what it has got, and why it ended. */
interface Listener {
  face: string;
  /** The `seq` of each message. */
  seqs(): number[];
  /** The code that it was told, once it has ended. */
  end(): string | undefined;
}

const asUser = (user: TestUser) => ({ authorization: `Bearer ${user.token}` });

async function webSocket(
  user: TestUser,
  { server = here, path = STREAM } = {},
): Promise<Listener & { client: WsTestClient }> {
  const client = await WsTestClient.open(server.url + path, { headers: asUser(user) });
  closers.push(() => client.socket.terminate());
  let end: string | undefined;
  client.socket.on('close', (code, reason) => (end = `${code} ${reason.toString().split(':')[0]}`));
  return { face: 'ws', client, seqs: () => client.messages.map(({ seq }) => seq!), end: () => end };
}

async function socketIo(user: TestUser, request: object = {}, server = here): Promise<Listener> {
  const client = await new AcpTestClient(server.url, user.token).connected();
  closers.push(() => client.socket.disconnect());
  let told: string | undefined;
  let end: string | undefined;
  client.socket.on('error', ({ code }: { code: string }) => (told = code));
  client.socket.on('disconnect', () => (end = told ?? 'without a word'));
  await client.ask('subscribe', request);
  return { face: 'socket.io', seqs: () => client.got.map(({ seq }) => seq), end: () => end };
}

async function events(user: TestUser, { server = here, path = STREAM } = {}): Promise<Listener> {
  const leaving = new AbortController();
  closers.push(() => leaving.abort());
  const answer = await fetch(server.url + path, { headers: asUser(user), signal: leaving.signal });
  expect(answer.status).toBe(200);
  let text = '';
  let end: string | undefined;
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of answer.body!) text += decoder.decode(chunk as Uint8Array, { stream: true });
    end = /event: end\ndata: \{"code":"([^"]+)"/.exec(text)?.[1] ?? 'without a word';
  })().catch(() => (end ??= 'without a word'));
  const seqs = () => [...text.matchAll(/^data: .*"seq":(\d+)/gm)].map(([, seq]) => Number(seq));
  return { face: 'sse', seqs, end: () => end };
}

/** Each face, on the task and on all that the user may see. */
async function onEveryFace(user: TestUser, task: string, server = here): Promise<Listener[]> {
  const path = `/api/v1/orchestrator/tasks/${task}/stream`;
  return Promise.all([
    ...[webSocket(user, { server }), webSocket(user, { server, path }), events(user, { server })],
    ...[events(user, { server, path }), socketIo(user, {}, server), socketIo(user, { task_ids: [task] }, server)],
  ]);
}

const ended = (listeners: readonly Listener[], code: string) =>
  until(`all to be told ${code}`, () => listeners.every((one) => one.end()?.includes(code)), 12_000).catch(() => {
    throw new Error(`not told ${code}: ${listeners.map((one) => `${one.face}: ${one.end()}`).join(', ')}`);
  });

const members = (user: TestUser) => `/boards/${board}/members/${user.userId}`;
const join = (user: TestUser) => owner.must(200, 'PUT', members(user), { role: 'viewer' });

async function newMember(): Promise<TestUser> {
  const user = await here.newUser();
  await join(user);
  return user;
}

async function headOf(task: string): Promise<number> {
  const text = 'select head_seq from task_streams where task_id = $1';
  return Number((await query<{ head_seq: string }>(here.database.url, text, [task]))[0]?.head_seq ?? 0);
}

describe('access that begins while a stream runs', () => {
  it('brings a board whose agents have spoken all the while, from its next message on', async () => {
    const newcomer = await here.newUser();
    const task = await owner.createTask(board, { agent_type: 'drip' });
    const theirs = await Promise.all([webSocket(newcomer), events(newcomer), socketIo(newcomer)]);
    const own = await webSocket(owner);
    await owner.must(202, 'POST', `/orchestrator/tasks/${task.id}/start`, {});
    await until('the owner to hear it', () => own.seqs().length > 200);
    const before = await headOf(task.id);
    expect(theirs.map((one) => one.seqs())).toEqual([[], [], []]);
    await join(newcomer);
    await until('the newcomer to hear it', () => theirs.every((one) => one.seqs().length > 50), 5_000);
    await owner.must(200, 'POST', `/orchestrator/tasks/${task.id}/stop`, {});
    await owner.untilRun(task.id);
    const last = await headOf(task.id);
    await until('all of it', () => theirs.every((one) => one.seqs().at(-1) === last));
    for (const seqs of theirs.map((one) => one.seqs())) {
      const [first = 0] = seqs;
      expect(first).toBeGreaterThan(before);
      expect(seqs).toEqual(Array.from({ length: last - first + 1 }, (_, i) => first + i));
    }
  });
});

describe('access that ends while a stream runs', () => {
  it('stops a flood for a removed member before the removal is answered, and for nobody else', async () => {
    const member = await newMember();
    const task = await owner.createTask(board, { agent_type: 'drip' });
    await owner.must(202, 'POST', `/orchestrator/tasks/${task.id}/start`, {});
    const theirs = await onEveryFace(member, task.id);
    const own = await webSocket(owner);
    await until('everybody to hear it', () => [...theirs, own].every((one) => one.seqs().length > 50));
    await owner.must(204, 'DELETE', members(member));
    const head = await headOf(task.id);
    await until('more lines for the owner', () => (own.seqs().at(-1) ?? 0) > head + 300);
    await ended(theirs, 'auth.membership_ended');
    for (const one of theirs) expect(one.seqs().at(-1), one.face).toBeLessThanOrEqual(head);
    expect(own.end()).toBeUndefined();
    await owner.must(200, 'POST', `/orchestrator/tasks/${task.id}/stop`, {});
    await owner.untilRun(task.id);
    // What is left of the run is theirs no more, in no way.
    await expect(webSocket(member, { path: `/api/v1/orchestrator/tasks/${task.id}/stream` })).rejects.toThrow(/404/);
    // A replay under way ends too, though it is silent.
    await join(member);
    const replays = await Promise.all(
      [webSocket, events].map((open) => {
        return open(member, { path: `/api/v1/orchestrator/tasks/${task.id}/stream?at_speed=0.1` });
      }),
    );
    await until('the replays to begin', () => replays.every((one) => one.seqs().length > 0));
    await owner.must(204, 'DELETE', members(member));
    await ended(replays, 'auth.membership_ended');
  });

  it.concurrent('is seen by other server processes within seconds', async () => {
    const [removed, left, demoted, keyed] = [
      await newMember(),
      await newMember(),
      await newMember(),
      await newMember(),
    ];
    const task = await owner.createTask(board);
    await admin.must(200, 'PATCH', `/users/${demoted.userId}`, { role: 'admin' });
    const { id, key } = await keyed.must<{ id: string; key: string }>(201, 'POST', '/api-keys', { name: 'k' });
    const [ofRemoved, ofLeft, ofDemoted] = await Promise.all(
      [removed, left, demoted].map((user) => onEveryFace(user, task.id, there)),
    );
    const byKey = await WsTestClient.open(`${there.url}${STREAM}?token=${key}`);
    const keyEnd = byKey.closed();
    const others = await onEveryFace(owner, task.id, there);
    await owner.must(204, 'DELETE', members(removed));
    await left.must(204, 'POST', '/auth/logout', { refresh_token: left.tokens?.refresh_token });
    await admin.must(200, 'PATCH', `/users/${demoted.userId}`, { role: 'member' });
    await keyed.must(204, 'DELETE', `/api-keys/${id}`);
    await ended(ofRemoved!, 'auth.membership_ended');
    await ended(ofLeft!, 'auth.session_ended');
    await ended(ofDemoted!, 'auth.role_changed');
    expect((await keyEnd)[1]).toMatch(/^auth\.invalid_key/);
    expect(others.map((one) => one.end())).toEqual(others.map(() => undefined));
    await owner.must(204, 'DELETE', `/tasks/${task.id}`);
    await ended(
      others.filter((_, i) => i % 2 === 1),
      'stream.deleted',
    );
    expect(others.filter((one) => one.end() === undefined)).toHaveLength(3); // all that they may see goes on
  });

  it.concurrent('ends what an administrator saw as one, and bothers nobody who becomes one', async () => {
    const [down, up] = [await here.newUser(), await newMember()];
    const task = await owner.createTask(board);
    await admin.must(200, 'PATCH', `/users/${down.userId}`, { role: 'admin' });
    const [ofDown, ofUp] = await Promise.all([down, up].map((user) => onEveryFace(user, task.id)));
    await admin.must(200, 'PATCH', `/users/${up.userId}`, { role: 'admin' });
    await admin.must(200, 'PATCH', `/users/${down.userId}`, { role: 'member' });
    await ended(ofDown!, 'auth.role_changed');
    expect(ofUp!.map((one) => one.end())).toEqual(ofUp!.map(() => undefined));
  });

  it.concurrent('ends with the token', async () => {
    const user = await newMember();
    const [head = '', body = ''] = user.token.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
    const short = { ...claims, exp: Math.floor(Date.now() / 1_000) + 2 };
    const text = `${head}.${Buffer.from(JSON.stringify(short)).toString('base64url')}`;
    const token = `${text}.${createHmac('sha256', JWT_SECRET).update(text).digest('base64url')}`;
    const brief = Object.create(user, { token: { value: token } }) as TestUser;
    const task = await owner.createTask(board);
    await ended(await onEveryFace(brief, task.id), 'auth.token_expired');
  });

  it('ends what follows a board by name when the board is deleted', async () => {
    const doomed = await owner.createBoard();
    const named = await socketIo(owner, { board_ids: [doomed] });
    const byAdmin = await socketIo(admin, { board_ids: [doomed] });
    const all = await socketIo(owner);
    await owner.must(204, 'DELETE', `/boards/${doomed}`);
    await ended([named, byAdmin], 'stream.deleted');
    expect(all.end()).toBeUndefined();
  });

  it('leaves nothing to a subscription that was under way', async () => {
    const member = await here.newUser();
    const task = await owner.createTask(board);
    for (let round = 0; round < 6; round++) {
      await join(member);
      const stream = await webSocket(member);
      const asked = stream.client.ask({ action: 'subscribe', task_ids: [task.id] }).catch(() => undefined);
      const opening = webSocket(member, { path: `/api/v1/orchestrator/tasks/${task.id}/stream` }).catch(
        () => undefined,
      );
      await owner.must(204, 'DELETE', members(member));
      await ended([stream], 'auth.membership_ended');
      const late = await opening;
      if (late) await ended([late], 'auth.membership_ended');
      void asked;
    }
  });
});
