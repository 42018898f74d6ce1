import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { query } from '../support/database.js';
import { floodAgent } from '../support/flood-agent.js';
import { TestServer } from '../support/server.js';
import type { SseOptions } from '../support/sse-client.js';
import { StreamFaces } from '../support/stream-faces.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const LINES = 6_000;

/** Numbered messages of all kinds. */
const FLOOD = floodAgent(
  LINES,
  `[
    (message) => ({ type: 'log', data: { level: 'debug', message } }),
    (message) => ({ type: 'log', data: { level: 'warn', message } }),
    (message) => ({ type: 'progress', data: { progress: n / ${LINES} * 100, message } }),
    (message) => ({ type: 'error', data: { message } }),
  ][n % 4](String(n))`,
);

let server: TestServer;
let owner: TestUser;
let outsider: TestUser;
let board: string;
let faces: StreamFaces;

beforeAll(async () => {
  server = await TestServer.start({ CORS_ORIGINS: 'https://board.example' });
  owner = await server.newUser();
  outsider = await server.newUser();
  faces = new StreamFaces(server, owner);
  board = await owner.createBoard();
  await owner.createAgentType({ name: 'flood', runtime: 'process', command: ['node', '-e', FLOOD] });
});
afterAll(() => server.dispose());
afterEach(() => faces.close());

const addressOf = (path: string) => faces.address(path);
const sse = (path: string, options?: SseOptions) => faces.sse(path, options);
const webSocket = (path: string) => faces.webSocket(path);

async function floodTask(): Promise<string> {
  return (await owner.createTask(board, { agent_type: 'flood' })).id;
}

async function start(task: string): Promise<void> {
  await owner.must(202, 'POST', `/orchestrator/tasks/${task}/start`, {});
}

/** Stops the run; returns the number of the last message. */
async function stop(task: string): Promise<number> {
  await owner.must(200, 'POST', `/orchestrator/tasks/${task}/stop`, { force: true });
  await owner.untilRun(task, ['CANCELLED']);
  const sql = 'select head_seq from task_streams where task_id = $1';
  return Number((await query<{ head_seq: string }>(server.database.url, sql, [task]))[0]?.head_seq);
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

/** What the agent wrote, as it arrived: its own number in each message. */
function numbers(messages: readonly object[]): number[] {
  const texts = (messages as AcpMessage[]).map(({ data }) => String(data['message']));
  return texts.filter((text) => /^\d+$/.test(text)).map(Number);
}

describe('all three faces', () => {
  it('tell the same flood once and in order, also those who want only a part of it', async () => {
    const task = await floodTask();
    const acp = await faces.socketIo();
    await acp.ask('subscribe', { task_ids: [task], after: { [task]: 0 } });
    const plain = await webSocket(`/tasks/${task}/stream?after=0`);
    const events = await sse(`/tasks/${task}/stream?after=0`);
    const all = await sse('/stream');
    const filters = { types: ['log', 'error'], min_level: 'warn' };
    const few = await faces.socketIo();
    await few.ask('subscribe', { board_ids: [board], ...filters });
    const [fewPlain, fewEvents, fewOfAll] = await Promise.all([
      webSocket(`/tasks/${task}/stream?after=0&types=log,error&min_level=warn`),
      sse(`/tasks/${task}/stream?after=0&types=log,error&min_level=warn`),
      sse(`/stream?types=log,error&min_level=warn&board_ids=${board}`),
    ]);
    await start(task);
    await until('the flood to be heard', () => numbers(events.messages).length === LINES);
    const last = await stop(task);

    for (const client of [acp, plain, events, all]) expect(await client.seqs(last)).toEqual(upTo(last));
    expect(numbers(events.messages)).toEqual(upTo(LINES));
    for (const { messages } of [plain, all]) expect(messages).toEqual(events.messages);
    expect(acp.got).toEqual(events.messages);
    expect(events.events.map(({ id }) => Number(id))).toEqual(upTo(last));
    const wanted = events.messages.filter(({ type, data }) => type === 'error' || data['level'] === 'warn');
    expect(wanted.length).toBeGreaterThanOrEqual(LINES / 2);
    for (const client of [few, fewPlain, fewEvents, fewOfAll]) await client.seqs(wanted.length);
    for (const { messages } of [fewPlain, fewEvents, fewOfAll]) expect(messages).toEqual(wanted);
    expect(few.got).toEqual(wanted);
  });
});

describe('a stream of events', () => {
  it('goes on where it was after the server was away, on one task and on all', async () => {
    const task = await floodTask();
    const [before, allBefore] = [await sse(`/tasks/${task}/stream?after=0`), await sse(`/stream?board_ids=${board}`)];
    await start(task);
    await until('some messages', () => before.messages.length > 1_000 && allBefore.messages.length > 1_000);
    expect(await server.stop()).toBe(0);
    await until('the end to be told', () => before.ended && allBefore.ended);
    for (const { events } of [before, allBefore]) {
      expect(events.at(-1)?.type).toBe('end');
      expect(events.at(-1)?.data).toContain('server.shutting_down');
    }
    await server.start();
    const after = await sse(`/tasks/${task}/stream?after=7`, { last_event_id: before.lastId }); // the header wins
    const allAfter = await sse(`/stream?board_ids=${board}`, { last_event_id: allBefore.lastId });
    await until('the rest', () => numbers([...before.messages, ...after.messages]).length >= LINES);
    const last = await stop(task);
    await after.seqs(last - before.messages.length);
    await allAfter.seqs(last - allBefore.messages.length);
    expect([...before.messages, ...after.messages].map(({ seq }) => seq)).toEqual(upTo(last));
    expect([...allBefore.messages, ...allAfter.messages]).toEqual([...before.messages, ...after.messages]);
    expect(numbers([...before.messages, ...after.messages])).toEqual(upTo(LINES));
    const [oldest] = allAfter.events;
    expect(oldest).toMatchObject({ type: 'subscribed', id: allBefore.lastId.split(',').toSorted().join(',') });
    expect(JSON.parse(oldest!.data)).toMatchObject({ subscribed: [{}, { task_id: task }], denied: [] });
  });

  it('answers what a browser, curl and proxies need', async () => {
    const task = await floodTask();
    const anything = await sse(`/tasks/${task}/stream`, {
      headers: { accept: '*/*', origin: 'https://board.example' },
    });
    expect(anything.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': 'https://board.example',
      'x-content-type-options': 'nosniff',
      'x-correlation-id': expect.any(String) as string,
    });
    const head = await fetch(addressOf(`/tasks/${task}/stream`), {
      ...{ method: 'HEAD', headers: { authorization: `Bearer ${owner.token}` } },
    });
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    const { ticket } = await owner.must<{ ticket: string }>(201, 'POST', '/auth/tickets');
    const byTicket = await sse(`/tasks/${task}/stream?ticket=${ticket}`, { token: undefined });
    const byToken = await sse(`/stream?token=${owner.token}`, { token: undefined });
    expect([byTicket.response.statusCode, byToken.response.statusCode]).toEqual([200, 200]);
    const answer = await fetch(addressOf(`/stream?ticket=${ticket}`));
    expect(((await answer.json()) as { code: string }).code).toBe('auth.invalid_ticket'); // good once
    expect(server.log).not.toContain(ticket);
    expect(server.log).not.toContain(owner.token);
  });

  it.each([
    [406, 'request.not_acceptable', '', { accept: 'application/json, text/event-stream;q=0' }, undefined],
    [403, 'origin.forbidden', '', { origin: 'https://evil.example' }, undefined],
    [401, 'auth.required', '', { authorization: '' }, undefined],
    [400, 'request.invalid', '?types=log,nonsense', {}, 'types'],
    [400, 'request.invalid', '?min_level=loud', {}, 'min_level'],
    [400, 'request.invalid', '?after=-1', {}, 'after'],
    [400, 'request.invalid', '?at_speed=0.05', {}, 'at_speed'],
    [400, 'request.invalid', '?run_id=7', {}, 'run_id'],
    [400, 'request.invalid', '?nonsense=1', {}, 'nonsense'],
    [400, 'request.invalid', '', { 'last-event-id': 'x' }, 'Last-Event-ID'],
    [404, 'run.not_found', '?at_speed=2', {}, undefined],
  ])('is refused with %s %s: %s %j', async (status, code, search, headers, field) => {
    const { id } = await owner.createTask(board);
    const authorization = `Bearer ${owner.token}`;
    const answer = await fetch(addressOf(`/tasks/${id}/stream${search}`), { headers: { authorization, ...headers } });
    const problem = (await answer.json()) as { code: string; errors?: { field: string }[] };
    expect([answer.status, problem.code, problem.errors?.[0]?.field]).toEqual([status, code, field]);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  });

  it('is nothing to somebody else', async () => {
    const task = await floodTask();
    const stranger = await sse(`/tasks/${task}/stream`, { token: outsider.token });
    expect(stranger.response.statusCode).toBe(404);
    const all = await sse(`/stream?task_ids=${task}&board_ids=${board}`, { token: outsider.token });
    await until('the receipt', () => all.events.length > 0);
    expect(all.named('subscribed')).toEqual([{ subscribed: [], denied: [task, board] }]);
  });
});

describe('filters that are none', () => {
  it('are refused by all faces, by name', async () => {
    const task = await floodTask();
    const acp = await faces.socketIo();
    const wrong = await acp.ask('subscribe', { task_ids: [task], types: ['log', 'nonsense'], min_level: 'loud' });
    expect(wrong.error?.errors?.map(({ field }) => field)).toEqual(['types.1', 'min_level']);
    const plain = await webSocket('/stream');
    const { error } = await plain.ask({ action: 'subscribe', task_ids: [task], types: [] });
    expect(error).toMatchObject({ code: 'request.invalid', errors: [{ field: 'types' }] });
    await expect(webSocket(`/tasks/${task}/stream?min_level=loud`)).rejects.toThrow(/400/);
    await expect(webSocket(`/stream?at_speed=2`)).rejects.toThrow(/400/);
    await expect(webSocket(`/tasks/${task}/stream?at_speed=2`)).rejects.toThrow(/404/);
  });
});
