import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { SseOptions } from '../support/sse-client.js';
import { StreamFaces } from '../support/stream-faces.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const CONNECTIONS = 6;
/** Speaks, is silent for a while, and speaks again. */
const RHYTHM = 'for i in 1 2 3; do echo "line $i"; echo "oops $i" >&2; sleep 0.5; done';
/** Says what it is told, in other words: the line as JSON inside of its message. */
const ECHO = `
const lines = require('node:readline').createInterface({ input: process.stdin });
lines.on('line', (line) => console.log(JSON.stringify({ type: 'log', data: { message: 'told', line, length: line.length } })));
console.log('ready');
`;

let server: TestServer;
let owner: TestUser;
let viewer: TestUser;
let board: string;
let faces: StreamFaces;

beforeAll(async () => {
  server = await TestServer.start({ KANDEV_STREAM_CONNECTIONS_PER_USER: String(CONNECTIONS) });
  owner = await server.newUser();
  viewer = await server.newUser();
  faces = new StreamFaces(server, owner);
  board = await owner.createBoard();
  await owner.must(200, 'PUT', `/boards/${board}/members/${viewer.userId}`, { role: 'viewer' });
  const process_ = { runtime: 'process' };
  await owner.createAgentType({ name: 'rhythm', ...process_, command: ['sh', '-c', RHYTHM] });
  await owner.createAgentType({ name: 'echo', ...process_, command: ['node', '-e', ECHO] });
  await owner.createAgentType({ name: 'deaf', ...process_, command: ['sh', '-c', 'echo ready; sleep 600 & wait'] });
});
afterAll(() => server.dispose());
afterEach(() => faces.close());

const addressOf = (path: string) => faces.address(path);
const sse = (path: string, options?: SseOptions) => faces.sse(path, options);
const webSocket = (path: string, user?: TestUser) => faces.webSocket(path, user);

async function started(agent_type: string): Promise<string> {
  const { id } = await owner.createTask(board, { agent_type });
  await owner.must(202, 'POST', `/orchestrator/tasks/${id}/start`, {});
  return id;
}

/** A run that is over, as it was; and when each of its messages was stored, in ms. */
async function finished(): Promise<{ task: string; run_id: string; all: AcpMessage[]; times: number[] }> {
  const task = await started('rhythm');
  const { run_id } = await owner.untilRun(task, ['COMPLETED']);
  const rows = await query<{ at: string }>(
    server.database.url,
    'select extract(epoch from created_at) * 1000 as at from acp_messages where task_id = $1 order by seq',
    [task],
  );
  const client = await sse(`/tasks/${task}/stream?after=0`);
  await client.seqs(rows.length);
  client.close();
  return { task, run_id: run_id!, all: client.messages, times: rows.map(({ at }) => Number(at)) };
}

async function refusal(path: string): Promise<[number, string]> {
  const answer = await fetch(addressOf(path), { headers: { authorization: `Bearer ${owner.token}` } });
  return [answer.status, ((await answer.json()) as { code: string }).code];
}

describe('a replay', () => {
  it('shows a finished run again, in order and in its own rhythm', async () => {
    const { task, run_id, all, times } = await finished();
    const speed = 4;
    const arrived: number[] = [];
    const plain = await webSocket(`/tasks/${task}/stream?at_speed=${speed}`);
    plain.socket.on('message', () => arrived.push(performance.now()));
    const closed = plain.closed();
    const events = await sse(`/tasks/${task}/stream?at_speed=1000&run_id=${run_id}`);
    await until('the end of the fast one', () => events.ended);
    expect(events.messages).toEqual(all);
    expect(events.events.at(-1)).toMatchObject({
      type: 'end',
      data: expect.stringContaining('replay.ended') as string,
    });
    const [code, reason] = await closed;
    expect([code, reason.split(':')[0]]).toEqual([1000, 'replay.ended']);
    expect(plain.messages).toEqual(all);
    // Never before its time; timers of Node may be a millisecond early. The first two may have come in one read.
    for (const [i, time] of times.entries()) {
      expect(arrived[i]! - arrived[0]!).toBeGreaterThanOrEqual((time - times[0]!) / speed - 20);
    }
    const took = times.at(-1)! - times[0]!;
    expect(took).toBeGreaterThan(1_400);

    const { seq } = all.find(({ data }) => data['message'] === 'line 2')!;
    const some = await sse(`/tasks/${task}/stream?at_speed=1000&after=${seq}&types=log&min_level=warn`);
    await until('the end of a part', () => some.ended);
    const wanted = all.filter((message) => message.seq > seq && message.data['level'] === 'warn');
    expect(wanted.length).toBeGreaterThanOrEqual(1);
    expect(some.messages).toEqual(wanted);
    expect(some.lastId).toBe(String(all.at(-1)!.seq));
    // What EventSource does by itself when a stream has ended; 204 keeps it from doing so for ever.
    const again = await sse(`/tasks/${task}/stream?at_speed=1000`, { last_event_id: some.lastId });
    expect(again.response.statusCode).toBe(204);
    const batched = await webSocket(`/tasks/${task}/stream?at_speed=1000&batch=true&after=${seq}`);
    await batched.closed();
    expect(batched.messages).toEqual(all.slice(seq));
  });

  it('ends with its client, and is of finished runs alone', async () => {
    const { task } = await finished();
    for (let i = 0; i < 2 * CONNECTIONS; i++) {
      const client = await sse(`/tasks/${task}/stream?at_speed=0.1`);
      expect(client.response.statusCode).toBe(200);
      await client.seqs(1);
      client.close();
      await until('the place of the one that left', async () => {
        const next = await sse(`/tasks/${task}/stream?at_speed=0.1`);
        next.close();
        return next.response.statusCode === 200;
      });
    }
    const running = await started('deaf');
    await owner.untilRun(running, ['RUNNING']);
    expect(await refusal(`/tasks/${running}/stream?at_speed=2`)).toEqual([409, 'run.not_finished']);
    await expect(webSocket(`/tasks/${running}/stream?at_speed=2`)).rejects.toThrow(/409/);
    expect(await refusal(`/tasks/${task}/stream?run_id=${running}`)).toEqual([404, 'run.not_found']);
    await owner.must(200, 'POST', `/orchestrator/tasks/${running}/stop`, { force: true });
    await owner.untilRun(running, ['CANCELLED']);
  });
});

describe('a pause', () => {
  it('is refused by sockets where the agent has no container that could be held', async () => {
    const task = await started('deaf');
    await owner.untilRun(task, ['RUNNING']);
    const [plain, acp] = [await webSocket(`/tasks/${task}/stream`), await faces.socketIo()];
    for (const action of ['pause', 'resume']) {
      const refused = { error: { status: 501, code: 'run.pause_unsupported' } };
      expect(await plain.ask({ type: 'control', action })).toMatchObject({ ok: false, ...refused });
      expect(await acp.ask('control', { task_id: task, action })).toMatchObject(refused);
    }
    await owner.must(200, 'POST', `/orchestrator/tasks/${task}/stop`, { force: true });
    await owner.untilRun(task, ['CANCELLED']);
  });
});

describe('an input', () => {
  it('reaches the agent, whole and in order, by every way; who has sent it is told, what is not', async () => {
    const task = await started('echo');
    const plain = await webSocket(`/tasks/${task}/stream?after=0`);
    await until('the agent to be ready', () => plain.messages.some((message) => messageOf(message) === 'ready'));
    const secret = { password: 'hunter2', lines: 'two\nlines' };
    const acknowledged = await plain.ask({ type: 'control', action: 'input', data: secret });
    expect(acknowledged).toMatchObject({ ok: true, run: { task_id: task, state: 'RUNNING' } });
    const acp = await faces.socketIo();
    expect(await acp.ask('control', { task_id: task, action: 'input', data: { second: 2 } })).toMatchObject({
      ok: true,
    });
    const text = 'x'.repeat(60_000); // more than a pipe takes in one piece
    const sent = await owner.must<{ bytes: number }>(200, 'POST', `/orchestrator/tasks/${task}/input`, {
      data: { text },
    });
    expect(sent).toMatchObject({ task_id: task, bytes: expect.any(Number) as number });
    const told = () => plain.messages.filter((message) => messageOf(message) === 'told');
    await until('all of it to be told', () => told().length === 3);
    const lines = told().map(({ data }) => JSON.parse((data as { line: string }).line) as Record<string, unknown>);
    expect(lines.map(({ data }) => data)).toEqual([secret, { second: 2 }, { text }]);
    for (const { type, action, timestamp } of lines) {
      expect([type, action]).toEqual(['control', 'input']);
      expect(new Date(String(timestamp)).toISOString()).toBe(timestamp);
    }
    expect((told()[2]!['data'] as { length: number }).length).toBe(sent.bytes - 1);
    const statuses = () =>
      plain.messages.filter(({ type, data }) => type === 'status' && 'input_bytes' in (data as object));
    await until('three to be noted', () => statuses().length === 3);
    expect(statuses()[0]!['data']).toMatchObject({ status: 'RUNNING', sent_by: owner.userId });
    expect(JSON.stringify(statuses())).not.toContain('hunter2');
    const audit = `select data from audit_events where action = 'agent.input_sent' and user_id = $1`;
    const rows = await query<{ data: object }>(server.database.url, audit, [owner.userId]);
    expect(rows.map(({ data }) => data)).toHaveLength(3);
    expect(JSON.stringify(rows)).not.toContain('hunter2');
    expect(server.log).not.toContain('hunter2');

    expect(await plain.ask({ type: 'control', action: 'stop' })).toMatchObject({
      ok: true,
      run: { state: 'STOPPING' },
    });
    await owner.untilRun(task, ['CANCELLED']);
    const late = await plain.ask({ type: 'control', action: 'input', data: {} });
    expect(late.error).toMatchObject({ status: 409, code: 'run.not_running' });
  });

  it('is refused whole by an agent that does not read, and to those who may not', async () => {
    const task = await started('deaf');
    await owner.untilRun(task, ['RUNNING']);
    const path = `/orchestrator/tasks/${task}/input`;
    const send = async (data: unknown, user = owner) => {
      const { status, body } = await user.post(path, { data });
      return [status, body.code];
    };
    expect(await send({ text: 'x'.repeat(40_000) })).toEqual([200, undefined]);
    expect(await send({ text: 'x'.repeat(40_000) })).toEqual([409, 'agent.input_refused']);
    expect(await send({ text: 'x'.repeat(70_000) })).toEqual([413, 'agent.input_too_large']);
    expect(await send('text')).toEqual([400, 'request.invalid']);
    expect(await send({}, viewer)).toEqual([403, 'board.forbidden']);
    const watching = await webSocket(`/tasks/${task}/stream`, viewer);
    expect((await watching.ask({ type: 'control', action: 'input', data: {} })).error?.code).toBe('board.forbidden');
    const wrong = await watching.ask({ type: 'control', action: 'input' });
    expect(wrong.error).toMatchObject({ code: 'request.invalid', errors: [{ field: 'data' }] });
    expect((await watching.ask({ type: 'control', action: 'stop', data: {} })).error?.code).toBe('request.invalid');
    expect((await watching.ask({ type: 'control', action: 'sing' })).error?.code).toBe('control.unsupported_action');
    await owner.must(200, 'POST', `/orchestrator/tasks/${task}/stop`, { force: true });
    await owner.untilRun(task, ['CANCELLED']);
  });
});

function messageOf({ data }: Record<string, unknown>): unknown {
  return (data as { message?: unknown } | undefined)?.message;
}
