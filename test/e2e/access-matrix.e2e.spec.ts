import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isUuid } from '../../src/common/validation/id.decorator.js';
import { ApiWorld, PRINCIPALS, SIDES, type Side } from '../support/api-world.js';
import { cellOf, cellsOf, contents, pathOf, requestOf, settled, type JsonRequest } from '../support/matrix/cells.js';
import { MATRIX } from '../support/matrix/index.js';
import { READ, SIGNED_IN, WRITE, type Cell, type Row } from '../support/matrix/row.js';
import { OpenApi, type Operation } from '../support/openapi.js';
import type { RawAnswer } from '../support/raw-http.js';
import { AcpTestClient, WsTestClient, type Answer } from '../support/stream-clients.js';
import { until } from '../support/until.js';

let world: ApiWorld;
let api: OpenApi;
const seen = { operations: 0, cells: 0 };

beforeAll(async () => {
  world = await ApiWorld.open();
  api = await OpenApi.of(world.server.url);
});

afterAll(async () => {
  console.info(`access matrix: ${seen.operations} operations, ${seen.cells} cells`);
  await world.dispose();
});

/** The codes of refusals that do not depend on the operation. */
const CODES: Record<string, string> = {
  ...{ anonymous: 'auth.required', expired: 'auth.token_expired', agent: 'auth.agent_key_forbidden' },
};

function expectRefusal(answer: RawAnswer, { who }: Cell, name: string): void {
  const problem = answer.json as { status: number; code: string };
  expect.soft(answer.media, name).toBe('application/problem+json');
  expect.soft(problem?.status, name).toBe(answer.status);
  if (answer.status !== 401) return;
  expect.soft(answer.headers['www-authenticate'], name).toBe('Bearer');
  expect.soft(problem?.code, name).toBe(CODES[who]);
}

function idsOf(side: Side): string[] {
  const { board, task, run, agent, finished } = world.place(side);
  return [board, task, run, agent, ...Object.values(finished)];
}

/** Asks as everybody, for their own and for a stranger's; whoever is refused has changed nothing. */
async function checkCells(operation: Operation, row: Row): Promise<void> {
  let before: string | undefined;
  for (const cell of cellsOf(world, operation, row)) {
    const { who, side } = cell;
    const access = row.access(who, side);
    const status = access === 'ok' ? row.ok : access;
    const name = `${operation.operationId} as ${who}, ${side} → ${status}`;
    seen.cells++;
    const request = await requestOf(operation, row, cell);
    if (access !== 'ok' && operation.method !== 'GET') before = await settled(world);
    const answer = await world.ask(request);
    expect.soft(answer.status, `${name}: ${answer.text}`).toBe(status);
    if (access === 'ok') {
      // An administrator sees all; what others are shown names nothing of a board that they have no role on.
      if (who !== 'admin') for (const id of idsOf('foreign')) expect.soft(answer.text, name).not.toContain(id);
      if (who === 'outsider') for (const id of idsOf('own')) expect.soft(answer.text, name).not.toContain(id);
      await row.after?.(cell, answer.json);
      continue;
    }
    expectRefusal(answer, cell, name);
    if (operation.method !== 'GET') expect.soft(await contents(world), `${name} changes nothing`).toBe(before);
  }
}

const withoutIds = (answer: RawAnswer) => {
  const { code, detail } = (answer.json ?? {}) as { code?: string; detail?: string };
  return { status: answer.status, code, detail };
};

/** What is somebody else's looks exactly like what does not exist. */
async function checkUnknown(operation: Operation, row: Row): Promise<void> {
  const foreign = cellOf(world, row, 'owner', 'foreign');
  if (row.access('owner', 'foreign') !== 404 || !operation.path.includes('{')) return;
  const ask = (await row.ask?.(foreign)) ?? {};
  const given = Object.entries(ask.ids ?? {});
  const ids = Object.fromEntries(given.map(([name, value]) => [name, isUuid(value) ? uuidv7() : value]));
  const request = (asked: typeof ask): JsonRequest => ({
    ...{ method: operation.method, path: pathOf(operation, asked), body: asked.body, token: world.token('owner') },
  });
  const [strange, unknown] = [await world.ask(request(ask)), await world.ask(request({ ...ask, ids }))];
  expect.soft(withoutIds(unknown), `${operation.operationId}: unknown and foreign`).toEqual(withoutIds(strange));
  const asAdmin = await world.ask({ ...request({ ...ask, ids }), token: world.token('admin') });
  expect.soft(asAdmin.status, `${operation.operationId} as admin, unknown`).toBe(404);
}

describe('every operation', () => {
  it('of the document is in the matrix, and no other', () => {
    const documented = api.operations.map(({ operationId }) => operationId).toSorted();
    expect(Object.keys(MATRIX).toSorted()).toEqual(documented);
  });

  it.each(Object.entries(MATRIX))('%s', async (id, row) => {
    const operation = api.operation(id);
    seen.operations++;
    await checkCells(operation, row);
    await checkUnknown(operation, row);
  });
});

const CELLS = PRINCIPALS.flatMap((who) => SIDES.map((side) => ({ who, side, task: () => world.place(side).task })));
const urlOf = (path: string) => `${world.server.url.replace(/^http/, 'ws')}/api/v1/orchestrator${path}`;

/** Opens a plain WebSocket; the status of the refusal where it is refused. */
async function open(path: string, token: string | undefined): Promise<WsTestClient | number> {
  try {
    return await WsTestClient.open(urlOf(path), token ? { headers: { authorization: `Bearer ${token}` } } : {});
  } catch (error) {
    return Number(/response: (\d+)/.exec(String(error))?.[1]);
  }
}

describe('every socket', () => {
  it.each(CELLS)('of one task as $who, $side', async ({ who, side, task }) => {
    const access = READ(who, side);
    seen.cells++;
    const socket = await open(`/tasks/${task()}/stream`, world.token(who));
    if (typeof socket === 'number') return expect(socket).toBe(access);
    socket.socket.terminate();
    expect(access).toBe('ok');
  });

  it.each(CELLS)('of all tasks, subscribing, as $who, $side', async ({ who, side, task }) => {
    seen.cells++;
    const socket = await open('/stream', world.token(who));
    if (typeof socket === 'number') return expect(socket).toBe(SIGNED_IN(who, side));
    const answer = await socket.ask({ action: 'subscribe', task_ids: [task()], after: { [task()]: 0 } });
    expectSubscription(answer, READ(who, side), task());
    if (READ(who, side) === 'ok') await socket.seqs(1);
    const heard = new Set(socket.messages.map(({ task_id }) => task_id));
    if (who !== 'admin') expect([...heard].filter((id) => id === world.foreign.task)).toEqual([]);
    socket.socket.terminate();
  });

  it.each(CELLS)('of Socket.IO as $who, $side', async ({ who, side, task }) => {
    seen.cells++;
    const client = new AcpTestClient(world.server.url, world.token(who));
    try {
      await client.connected();
    } catch (error) {
      expect(SIGNED_IN(who, side)).not.toBe('ok');
      return expect((error as { data?: { code: string } }).data?.code).toBe(CODES[who]);
    }
    expect(SIGNED_IN(who, side)).toBe('ok');
    expectSubscription(await client.ask('subscribe', { task_ids: [task()] }), READ(who, side), task());
    const board = world.place(side).board;
    const byBoard = await client.ask('subscribe', { board_ids: [board] });
    expect(byBoard['denied']).toEqual(READ(who, side) === 'ok' ? [] : [board]);
    if (READ(who, side) !== 'ok') expect(byBoard['subscribed']).toEqual([]);
    if (WRITE(who, side) !== 'ok') {
      const before = await contents(world);
      const refused = await client.ask('control', { task_id: task(), action: 'stop' });
      expect((refused.error as { status?: number } | undefined)?.status).toBe(WRITE(who, side));
      expect(await contents(world)).toBe(before);
    }
    client.socket.disconnect();
  });
});

describe('what agents say', () => {
  it('is heard by those who may, and by nobody else', async () => {
    const { admin, viewer, outsider, stranger } = world.people;
    const listeners = await Promise.all(
      [admin, viewer, outsider, stranger].map(async ({ token }) => {
        const plain = await WsTestClient.open(urlOf('/stream'), { headers: { authorization: `Bearer ${token}` } });
        await plain.ask({ action: 'subscribe' });
        const acp = await new AcpTestClient(world.server.url, token).connected();
        await acp.ask('subscribe');
        return { plain, acp, tasks: () => [tasksOf(plain.messages), tasksOf(acp.got)] };
      }),
    );
    for (const side of SIDES) {
      const { agent, key, task } = world.place(side);
      const body = { type: 'log', data: { level: 'info', message: 'heard?' } };
      const answer = await world.ask({ method: 'POST', path: `/api/v1/agents/${agent}/messages`, token: key, body });
      expect(answer.status).toBe(202);
      await until('the administrator to hear it', () => listeners[0]?.tasks().every((tasks) => tasks.includes(task)));
    }
    const { own, foreign } = world;
    await until('the others to hear it', () => listeners[3]?.tasks().every((tasks) => tasks.includes(foreign.task)));
    const both = (...tasks: string[]) => [tasks, tasks];
    expect(listeners.slice(1).map(({ tasks }) => tasks())).toEqual([both(own.task), both(), both(foreign.task)]);
    for (const { plain, acp } of listeners) {
      plain.socket.terminate();
      acp.socket.disconnect();
    }
  });
});

function tasksOf(messages: readonly object[]): string[] {
  return [...new Set(messages.map((message) => (message as { task_id: string }).task_id))];
}

function expectSubscription(answer: Answer, access: ReturnType<typeof READ>, task: string): void {
  const subscribed = (answer['subscribed'] as { task_id: string }[]).map(({ task_id }) => task_id);
  expect(answer['denied']).toEqual(access === 'ok' ? [] : [task]);
  expect(subscribed).toEqual(access === 'ok' ? [task] : []);
}
