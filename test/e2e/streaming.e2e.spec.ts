import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { floodAgent } from '../support/flood-agent.js';
import { TestServer } from '../support/server.js';
import type { AcpTestClient } from '../support/stream-clients.js';
import { StreamFaces } from '../support/stream-faces.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const LINES = 30_000;

const FLOOD = floodAgent(LINES, `{ type: 'log', data: { message: String(n) } }`);

let server: TestServer;
let owner: TestUser;
let viewer: TestUser;
let outsider: TestUser;
let board: string;
let faces: StreamFaces;

beforeAll(async () => {
  server = await TestServer.start();
  const admin = await server.newUser();
  [owner, viewer, outsider] = await Promise.all([server.newUser(), server.newUser(), server.newUser()]);
  faces = new StreamFaces(server, owner);
  board = await owner.createBoard();
  const insert = "insert into board_members (board_id, user_id, role) values ($1, $2, 'viewer')";
  await query(server.database.url, insert, [board, viewer.userId]);
  await admin.createAgentType({ name: 'flood', runtime: 'process', command: ['node', '-e', FLOOD] });
});
afterAll(() => server.dispose());
afterEach(() => faces.close());

const socketIo = (user: TestUser) => faces.socketIo(user);
const webSocket = (user: TestUser, path: string) => faces.webSocket(path, user);

async function floodTask(): Promise<string> {
  return (await owner.createTask(board, { agent_type: 'flood' })).id;
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

/** The numbers that the agent wrote, as they arrived. */
const numbers = (messages: readonly { type: string; data?: unknown }[]): number[] =>
  messages.filter(({ type }) => type === 'log').map(({ data }) => Number((data as { message: string }).message));

async function lastSeq(taskId: string): Promise<number> {
  const sql = 'select head_seq from task_streams where task_id = $1';
  return Number((await query<{ head_seq: string }>(server.database.url, sql, [taskId]))[0]?.head_seq);
}

describe('a flood of messages', () => {
  it('reaches everybody once and in order, by every way to subscribe, and one who stops reading too', async () => {
    const task = await floodTask();
    const [byTask, byBoard, all] = (await Promise.all([owner, viewer, owner].map(socketIo))) as [
      AcpTestClient,
      AcpTestClient,
      AcpTestClient,
    ];
    await byTask.ask('subscribe', { task_ids: [task], after: { [task]: 0 } });
    await byBoard.ask('subscribe', { board_ids: [board] });
    await all.ask('subscribe');
    const plain = await webSocket(viewer, `/tasks/${task}/stream?after=0`);
    const batched = await webSocket(viewer, `/tasks/${task}/stream?after=0&batch=true`);
    const global = await webSocket(owner, '/stream');
    const stalled = await webSocket(owner, `/tasks/${task}/stream?after=0`);
    stalled.socket.pause();
    await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
    await until('the flood to be heard', () => numbers(byTask.got).length === LINES);
    await byTask.ask('control', { task_id: task, action: 'stop', reason: 'enough' });
    await owner.untilRun(task, ['CANCELLED']);
    await owner.untilTask(task, ['CANCELLED']);
    stalled.socket.resume();
    const late = await webSocket(viewer, `/tasks/${task}/stream?after=${LINES}`);
    const last = await lastSeq(task);

    for (const client of [byTask, byBoard, all, plain, batched, global, stalled]) {
      expect(await client.seqs(last)).toEqual(upTo(last));
    }
    for (const { got } of [byTask, byBoard, all]) expect(numbers(got)).toEqual(upTo(LINES));
    for (const { messages } of [plain, batched, global, stalled]) expect(numbers(messages)).toEqual(upTo(LINES));
    expect(await late.seqs(last - LINES)).toEqual(upTo(last).slice(LINES));
    expect(byTask.batches.length).toBeLessThan(last / 5);
    const keys = ['agent_id', 'data', 'run_id', 'seq', 'task_id', 'timestamp', 'type'];
    expect(Object.keys(plain.messages[0]!).toSorted()).toEqual(keys);
    expect(plain.messages).toEqual(byTask.got);
  });

  it('goes on where it was for a client that comes back after the server was away', async () => {
    const task = await floodTask();
    const before = await webSocket(owner, `/tasks/${task}/stream?after=0`);
    await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
    await until('some messages', () => before.messages.length > 2_000);
    const closed = before.closed();
    expect(await server.stop()).toBe(0);
    expect((await closed)[0]).toBe(1001);
    await server.start();
    const seen = before.messages.length;
    const after = await webSocket(owner, `/tasks/${task}/stream?after=${seen}`);
    await until('the rest', () => numbers([...before.messages, ...after.messages]).length >= LINES);
    await after.ask({ type: 'control', action: 'stop', force: true });
    await owner.untilRun(task, ['CANCELLED']);
    const last = await lastSeq(task);
    await after.seqs(last - seen);
    expect([...before.messages, ...after.messages].map(({ seq }) => seq)).toEqual(upTo(last));
    expect(numbers([...before.messages, ...after.messages])).toEqual(upTo(LINES));
  });
});

describe('access', () => {
  it('lets viewers read and not control, and tells outsiders nothing', async () => {
    const task = await floodTask();
    const [reader, stranger] = [await socketIo(viewer), await socketIo(outsider)];
    expect(await reader.ask('subscribe', { task_ids: [task], board_ids: [board] })).toMatchObject({ denied: [] });
    expect((await reader.ask('control', { task_id: task, action: 'start' })).error?.code).toBe('board.forbidden');
    expect(await stranger.ask('subscribe', { task_ids: [task], board_ids: [board] })).toEqual({
      ...{ subscribed: [], denied: [task, board] },
    });
    expect((await stranger.ask('control', { task_id: task, action: 'stop' })).error?.code).toBe('task.not_found');
    await expect(webSocket(outsider, `/tasks/${task}/stream`)).rejects.toThrow(/404/);
    await stranger.ask('subscribe');
    await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
    await reader.seqs(100);
    const plain = await webSocket(owner, `/tasks/${task}/stream`);
    expect((await plain.ask({ type: 'control', action: 'stop', force: true })).ok).toBe(true);
    await owner.untilRun(task, ['CANCELLED']);
    expect(stranger.got).toEqual([]);
    expect((await plain.ask({ type: 'control', action: 'stop' })).error?.code).toBe('run.none_live');
  });
});
