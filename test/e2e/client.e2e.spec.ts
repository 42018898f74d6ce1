import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Client from '../../clients/typescript/src/index.js';
import { PASSWORD } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';

/** The client as it is installed by its users: built, and not part of this project's own build. */
const BUILT = join(import.meta.dirname, '../../clients/typescript/dist/index.js');

let client: typeof Client;
let server: TestServer;
let kandev: Client.KandevApi;
let session: Client.SignedIn;

beforeAll(async () => {
  client = (await import(BUILT)) as typeof Client;
  server = await TestServer.start();
  const nobody = client.createKandev({ baseUrl: `${server.url}/` });
  session = await nobody.register({ body: { email: 'ann@example.com', username: 'ann', password: PASSWORD } });
  kandev = client.createKandev({ baseUrl: server.url, session });
});

afterAll(() => server.dispose());

const refusal = async (work: Promise<unknown>): Promise<Client.KandevError> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(client.KandevError);
  return error as Client.KandevError;
};

describe('the TypeScript client', () => {
  it('takes a task from the board to its deletion', async () => {
    const board = await kandev.createBoard({ body: { name: 'Website' }, headers: client.onceOnly() });
    expect((await kandev.getMe()).username).toBe('ann');

    const key = client.onceOnly();
    const body = {
      title: 'Fix the rounding error',
      description: 'Sums are off by a cent.',
      metadata: { ticket: 'A-1' },
    };
    const create = () => kandev.createTask({ path: { boardId: board.id }, body, headers: key });
    const [task, again] = [await create(), await create()];
    expect(again.id).toBe(task.id);

    const { tasks, total } = await kandev.listTasks({
      path: { boardId: board.id },
      query: { state: ['TODO'], limit: 10 },
    });
    expect({ total, ids: tasks.map(({ id }) => id) }).toEqual({ total: 1, ids: [task.id] });

    const path = { taskId: task.id };
    const changed = await kandev.updateTask({ path, body: { priority: 7 }, headers: client.ifUnchanged(task) });
    expect(changed).toMatchObject({ priority: 7, version: task.version + 1 });
    const stale = await refusal(kandev.updateTask({ path, body: { priority: 8 }, headers: client.ifUnchanged(task) }));
    expect(stale).toMatchObject({ status: 412, code: 'precondition.stale', retry_after: null });

    await kandev.updateTaskState({ path, body: { state: 'IN_PROGRESS' } });
    const { events } = await kandev.listTaskEvents({ path });
    expect(events.length).toBeGreaterThanOrEqual(3);

    await kandev.deleteTask({ path });
    const gone = await refusal(kandev.getTask({ path }));
    expect(gone).toMatchObject({ status: 404, code: 'task.not_found' });
    expect(gone.problem.correlation_id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('goes through all pages of a list', async () => {
    const board = await kandev.createBoard({ body: { name: 'Long' } });
    const titles = Array.from({ length: 7 }, (_, i) => `Task ${i}`);
    for (const title of titles) {
      await kandev.createTask({ path: { boardId: board.id }, body: { title, description: 'To be done' } });
    }
    const asked: (string | undefined)[] = [];
    const found: string[] = [];
    const list = (page: { limit: number; cursor?: string }) => {
      asked.push(page.cursor);
      return kandev.listTasks({ path: { boardId: board.id }, query: { ...page } });
    };
    for await (const { title } of client.paginate(list, { limit: 3 })) found.push(title);
    expect(found).toEqual(titles.toReversed());
    expect(asked).toHaveLength(3);
  });

  it('tells what is wrong with a request', async () => {
    const error = await refusal(kandev.createBoard({ body: { name: '' } }));
    expect(error).toMatchObject({ name: 'KandevError', status: 400, code: 'request.invalid' });
    expect(error.errors).toEqual([{ field: 'name', message: expect.any(String) }]);
    expect(error.message).toContain('request.invalid');
    const nobody = client.createKandev({ baseUrl: server.url, getToken: () => undefined });
    expect(await refusal(nobody.getMe())).toMatchObject({ status: 401, code: 'auth.required' });
    const nowhere = client.createKandev({ baseUrl: 'http://127.0.0.1:1' });
    await expect(nowhere.getMe()).rejects.toBeInstanceOf(TypeError); // fetch's own: nobody has answered
  });

  it('works with an API key', async () => {
    const { key } = await kandev.createApiKey({ body: { name: 'script' } });
    const script = client.createKandev({ baseUrl: server.url, token: key });
    expect((await script.getMe()).username).toBe('ann');
    expect((await script.listBoards()).total).toBeGreaterThan(0);
    expect((await refusal(script.listTasks({ path: { boardId: crypto.randomUUID() } }))).code).toBe('board.not_found');
  });
});

describe('a sign-in that is kept alive', () => {
  it('takes new tokens once when the access token has expired, however many requests wait', async () => {
    const short = await TestServer.start({ TOKEN_DURATION: '60' });
    try {
      const account = { email: 'bob@example.com', username: 'bob', password: PASSWORD };
      const first = await client.createKandev({ baseUrl: short.url }).register({ body: account });
      const renewed: Client.Session[] = [];
      const paths: string[] = [];
      const expired: typeof fetch = async (input, init) => {
        const request = new Request(input, init);
        paths.push(new URL(request.url).pathname);
        // What the server answers to a token after its minute; the test does not wait for it.
        if (renewed.length > 0 || request.url.endsWith('/auth/refresh')) return fetch(request);
        const body = JSON.stringify({ code: 'auth.token_expired', detail: 'expired' });
        return new Response(body, { status: 401, headers: { 'content-type': 'application/problem+json' } });
      };
      const bob = client.createKandev({
        ...{ baseUrl: short.url, session: first, fetch: expired },
        onSession: (tokens) => void renewed.push(tokens),
      });
      const boards = await Promise.all(['a', 'b', 'c'].map((name) => bob.createBoard({ body: { name } })));
      expect(boards.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
      expect(renewed).toHaveLength(1);
      expect(paths.filter((path) => path.endsWith('/auth/refresh'))).toHaveLength(1);
      const rows = await query<{ n: string }>(short.database.url, 'select count(*) as n from boards');
      expect(Number(rows[0]?.n)).toBe(3);
    } finally {
      await short.dispose();
    }
  });
});
