import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { deafen } from '../support/database-news.js';
import { range } from '../support/message-world.js';
import { TestServer } from '../support/server.js';
import { AcpTestClient, WsTestClient } from '../support/stream-clients.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const JWT_SECRET = 'of these tests alone: 0123456789abcdef0123456789abcdef';
const STREAM = '/api/v1/orchestrator/stream';
/** Writes a line every few milliseconds until it is stopped. */
const DRIP = `
let n = 0;
setInterval(() => console.log(JSON.stringify({ type: 'log', data: { message: String(++n) } })), 3);
process.on('SIGTERM', () => process.exit(0));
`;

let here: TestServer; // agents are looked after here
let there: TestServer; // another process on the same database, that only serves clients
let owner: TestUser;
let board: string;
const closers: (() => void)[] = [];

beforeAll(async () => {
  here = await TestServer.start({ JWT_SECRET });
  there = await TestServer.start({ JWT_SECRET, DATABASE_URL: here.database.url, KANDEV_ROLE: 'api' });
  const admin = await here.newUser('admin');
  await admin.createAgentType({ name: 'drip', runtime: 'process', command: ['node', '-e', DRIP] });
  owner = await here.newUser('owner');
  board = await owner.createBoard();
});
afterAll(async () => {
  for (const close of closers) close();
  await there.dispose();
  await here.dispose();
});

/** What a client has got, of one task or of all, and why it was ended. */
interface Listener {
  seqs(task?: string): number[];
  end(): string | undefined;
}

const isOf = (task?: string) => (message: { type: string; task_id?: unknown }) =>
  task === undefined || message.task_id === task;

async function webSocket(user: TestUser, server: TestServer, path = STREAM): Promise<Listener> {
  const client = await WsTestClient.open(server.url + path, { headers: { authorization: `Bearer ${user.token}` } });
  closers.push(() => client.socket.terminate());
  let end: string | undefined;
  client.socket.on('close', (_, reason) => (end = reason.toString()));
  return { seqs: (task) => client.messages.filter(isOf(task)).map(({ seq }) => seq!), end: () => end };
}

async function socketIo(user: TestUser, server: TestServer, request: object): Promise<Listener> {
  const client = await new AcpTestClient(server.url, user.token).connected();
  closers.push(() => client.socket.disconnect());
  let end: string | undefined;
  client.socket.on('error', (problem: { code: string }) => (end = problem.code));
  await client.ask('subscribe', request);
  return { seqs: (task) => client.got.filter(isOf(task)).map(({ seq }) => seq), end: () => end };
}

async function start(): Promise<string> {
  const { id } = await owner.createTask(board, { agent_type: 'drip' });
  await owner.must(202, 'POST', `/orchestrator/tasks/${id}/start`, {});
  return id;
}

/** Stops it; resolves with its last `seq`. */
async function stop(task: string): Promise<number> {
  await owner.must(200, 'POST', `/orchestrator/tasks/${task}/stop`, {});
  await owner.untilRun(task);
  const text = 'select head_seq from task_streams where task_id = $1';
  return Number((await query<{ head_seq: string }>(here.database.url, text, [task]))[0]?.head_seq);
}

const heard = (listeners: readonly Listener[], count: number) =>
  until(`${count} messages for all`, () => listeners.every((one) => one.seqs().length >= count));

describe('a stream in a process that does not run the agent', () => {
  it('is whole while what tells of it is cut off again and again', async () => {
    const { id } = await owner.createTask(board, { agent_type: 'drip' });
    const path = `/api/v1/orchestrator/tasks/${id}/stream`;
    const all = await Promise.all([
      ...[webSocket(owner, there), webSocket(owner, there, path), socketIo(owner, there, { task_ids: [id] })],
      webSocket(owner, here),
    ]);
    await owner.must(202, 'POST', `/orchestrator/tasks/${id}/start`, {});
    await heard(all, 1);
    for (let round = 1; round <= 4; round++) {
      await heard(all, Math.min(...all.map((one) => one.seqs().length)) + 50);
      const listening = await until('both to listen', async () => {
        const rows = await query(
          here.database.url,
          `select from pg_stat_activity where datname = current_database() and query ~ '^listen .*kandev_streams'`,
        );
        return rows.length === 2 && rows.length;
      });
      expect(await deafen(here.database.url, 'kandev_streams')).toBe(listening);
    }
    const last = await stop(id);
    await until('all of it', () => all.every((one) => one.seqs().at(-1) === last));
    for (const one of all) expect(one.seqs()).toEqual(range(1, last));
    expect(all.map((one) => one.end())).toEqual(all.map(() => undefined));
  });

  it('begins and ends there with the membership that was changed here', async () => {
    const member = await here.newUser();
    const theirs = await Promise.all([webSocket(member, there), socketIo(member, there, {})]);
    const own = await webSocket(owner, there);
    const task = await start();
    await heard([own], 50);
    const before = own.seqs().length;
    expect(theirs.map((one) => one.seqs())).toEqual([[], []]); // it was not theirs, and they were asked about
    const members = `/boards/${board}/members/${member.userId}`;
    await owner.must(200, 'PUT', members, { role: 'viewer' });
    // By polls alone: within half a minute.
    await until('the member to hear it', () => theirs.every((one) => one.seqs().length > 20), 12_000);
    await owner.must(204, 'DELETE', members);
    await until('the member to be told', () => theirs.every((one) => one.end()?.includes('auth.membership_ended')));
    // Of the other task on the board nothing: it had ended before.
    for (const one of theirs) expect(one.seqs(task)).toEqual(one.seqs());
    const got = theirs.map((one) => one.seqs(task));
    const last = await stop(task);
    await until('all of it for the owner', () => own.seqs(task).at(-1) === last);
    expect(own.seqs(task)).toEqual(range(1, last));
    for (const seqs of got) {
      expect(seqs).toEqual(range(seqs[0]!, seqs.at(-1)!));
      expect(seqs[0]).toBeGreaterThan(before); // from the next message on, however late anybody told of these
      expect(seqs.at(-1)).toBeLessThan(last);
    }
    expect(own.end()).toBeUndefined();
  });

  it('ends with a sign-in that was ended here, of which a request there is told too', async () => {
    const user = await here.newUser();
    const [theirs] = [await webSocket(user, there)];
    const ask = async () => {
      const answer = await fetch(`${there.url}/api/v1/boards`, { headers: { authorization: `Bearer ${user.token}` } });
      return answer.status;
    };
    expect(await ask()).toBe(200);
    await user.must(204, 'POST', '/auth/logout', { refresh_token: user.tokens?.refresh_token });
    await until('the stream to end', () => theirs.end()?.includes('auth.session_ended'));
    expect(await ask()).toBe(401);
  });
});
