import { randomUUID } from 'node:crypto';
import { io } from 'socket.io-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ApiClient, statusesOf } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface MemberBody {
  user_id: string;
  username: string;
  role: string;
  created_at: string;
}
interface MemberList {
  members: MemberBody[];
  total: number;
  next_cursor: string | null;
}

let server: TestServer;
let admin: TestUser;
let owner: TestUser;
let other: TestUser;
let outsider: TestUser;
let board: string;

beforeAll(async () => {
  server = await TestServer.start({ RATE_LIMIT_ANONYMOUS_PER_MINUTE: '0', RATE_LIMIT_PER_MINUTE: '0' });
  admin = await server.newUser('admin');
  [owner, other, outsider] = await Promise.all([
    server.newUser('owner'),
    server.newUser('other'),
    server.newUser('outsider'),
  ]);
});
afterAll(() => server.dispose());

beforeEach(async () => {
  board = await owner.createBoard();
});

const set = (who: ApiClient, user: ApiClient, role: string) =>
  who.put<MemberBody>(`/boards/${board}/members/${user.userId}`, { role });
const remove = (who: ApiClient, user: ApiClient) => who.delete(`/boards/${board}/members/${user.userId}`);
const list = async (who: ApiClient, search = '') =>
  (await who.get<MemberList>(`/boards/${board}/members${search}`)).body;
const audit = (action: string) =>
  query<{ user_id: string; data: object }>(
    server.database.url,
    'select user_id, data from audit_events where action = $1 and subject_id = $2 order by id',
    [action, board],
  );

describe('members of a board', () => {
  it('are its maker first, and whom the owners add', async () => {
    expect(await set(owner, other, 'viewer')).toMatchObject({
      status: 200,
      body: { user_id: other.userId, username: 'other', role: 'viewer' },
    });
    const { members, total, next_cursor } = await list(other);
    expect(members.map(({ username, role }) => `${username} ${role}`)).toEqual(['owner owner', 'other viewer']);
    expect([total, next_cursor]).toEqual([2, null]);
    expect(await audit('board.member_set')).toEqual([
      { user_id: owner.userId, data: { user_id: other.userId, from: null, to: 'viewer' } },
    ]);
  });

  it('are set any number of times; only what is different is noted', async () => {
    const first = await set(owner, other, 'editor');
    expect(await set(owner, other, 'editor')).toMatchObject({ status: 200, body: first.body });
    expect(await set(owner, other, 'viewer')).toMatchObject({
      body: { ...first.body, role: 'viewer' },
    });
    expect(await audit('board.member_set')).toHaveLength(2);
    const at_once = await Promise.all(Array.from({ length: 10 }, () => set(owner, outsider, 'editor')));
    expect(new Set(statusesOf(at_once))).toEqual(new Set([200]));
    expect((await list(owner)).total).toBe(3);
  });

  it('may do at once what their new role lets them', async () => {
    const task = await owner.createTask(board);
    const change = () => other.put(`/tasks/${task.id}`, { title: randomUUID() });
    expect(await change()).toMatchObject({ status: 404, body: { code: 'task.not_found' } });
    await set(owner, other, 'viewer');
    expect(await change()).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
    await set(owner, other, 'editor');
    expect((await change()).status).toBe(200);
    expect((await remove(owner, other)).status).toBe(204);
    expect(await change()).toMatchObject({ status: 404 });
    expect((await other.get(`/boards/${board}`)).status).toBe(404);
    expect(await audit('board.member_removed')).toEqual([
      { user_id: owner.userId, data: { user_id: other.userId, from: 'editor' } },
    ]);
  });

  it('lose their sockets with their membership, and only then', async () => {
    await set(owner, other, 'editor');
    const socket = io(`${server.url}/acp`, { auth: { token: other.token }, transports: ['websocket'] });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('connect_error', reject);
      });
      const told = new Promise<{ code: string }>((resolve) => socket.once('error', resolve));
      const gone = new Promise<string>((resolve) => socket.once('disconnect', resolve));
      await socket.emitWithAck('subscribe', { board_ids: [board] });
      await set(owner, other, 'viewer');
      await until('the change to be delivered', async () => {
        const waiting = `select 1 from outbox_events where aggregate_id = $1`;
        return (await query(server.database.url, waiting, [board])).length === 0;
      });
      expect(socket.connected).toBe(true);
      await remove(owner, other);
      expect(await told).toMatchObject({ code: 'auth.membership_ended' });
      await gone;
    } finally {
      socket.close();
    }
  });

  it('follow the roles', async () => {
    const [viewer, editor] = await Promise.all([server.newUser(), server.newUser()]);
    await Promise.all([set(owner, viewer, 'viewer'), set(owner, editor, 'editor')]);
    for (const who of [viewer, editor]) {
      expect((await list(who)).total).toBe(3);
      expect(await set(who, other, 'viewer')).toMatchObject({ status: 403, body: { code: 'board.forbidden' } });
      expect(await set(who, who, 'owner')).toMatchObject({ status: 403 });
      expect(await remove(who, owner)).toMatchObject({ status: 403 });
    }
    for (const answer of [
      await outsider.get(`/boards/${board}/members`),
      await set(outsider, outsider, 'owner'),
      await remove(outsider, owner),
      await remove(outsider, outsider),
    ]) {
      expect(answer).toMatchObject({ status: 404, body: { code: 'board.not_found' } });
    }
    expect((await set(admin, other, 'owner')).status).toBe(200);
    const nobody = new ApiClient(() => server.url);
    expect((await nobody.get(`/boards/${board}/members`)).status).toBe(401);
    expect((await remove(viewer, viewer)).status).toBe(204);
    expect((await viewer.get(`/boards/${board}`)).status).toBe(404);
  });

  it('always have an owner among them', async () => {
    const refusal = { status: 409, body: { code: 'board.last_owner' } };
    expect(await remove(owner, owner)).toMatchObject(refusal);
    expect(await remove(admin, owner)).toMatchObject(refusal);
    expect(await set(owner, owner, 'editor')).toMatchObject(refusal);
    expect((await set(owner, owner, 'owner')).status).toBe(200);
    await set(owner, other, 'owner');
    expect((await remove(owner, owner)).status).toBe(204);
    expect(await remove(other, other)).toMatchObject(refusal);
    expect((await other.get<{ owner_id: string }>(`/boards/${board}`)).body.owner_id).toBe(owner.userId);
  });

  it('keep one owner when two leave, or turn each other out, at the same moment', async () => {
    for (let round = 0; round < 10; round++) {
      board = await owner.createBoard();
      await set(owner, other, 'owner');
      const answers =
        round % 2 === 0
          ? await Promise.all([remove(owner, owner), remove(other, other)])
          : await Promise.all([set(owner, other, 'viewer'), remove(other, owner)]);
      const [first, second] = statusesOf(answers);
      expect([200, 204]).toContain(first);
      expect([403, 404, 409]).toContain(second);
      const owners = `select user_id from board_members where board_id = $1 and role = 'owner'`;
      expect(await query(server.database.url, owners, [board])).toHaveLength(1);
    }
  });

  it.each([
    ['put', randomUUID(), { role: 'viewer' }, 404, { code: 'user.not_found' }],
    ['delete', randomUUID(), undefined, 404, { code: 'member.not_found' }],
    ['put', '17', { role: 'viewer' }, 400, { errors: [{ field: 'userId' }] }],
    ['put', randomUUID(), { role: 'admin' }, 400, { errors: [{ field: 'role' }] }],
    ['put', randomUUID(), {}, 400, { errors: [{ field: 'role' }] }],
    ['put', randomUUID(), { role: 'viewer', since: 'ever' }, 400, { errors: [{ field: 'since' }] }],
  ] as const)('%s %s with %j is refused: %i', async (method, user, body, status, problem) => {
    const answer = await owner.send(method.toUpperCase(), `/boards/${board}/members/${user}`, body);
    expect(answer).toMatchObject({ status, body: problem });
    expect(await audit('board.member_set')).toEqual([]);
  });

  it('come in pages', async () => {
    const users = await Promise.all(Array.from({ length: 5 }, () => server.newUser()));
    for (const user of users) await set(owner, user, 'viewer');
    const ids = [owner, ...users].map(({ userId }) => userId);
    const got: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: MemberList = await list(owner, `?limit=4${cursor && `&cursor=${cursor}`}`);
      expect(page.total).toBe(6);
      got.push(...page.members.map(({ user_id }) => user_id));
      cursor = page.next_cursor;
    }
    expect(got).toEqual(ids);
    expect((await list(owner, '?limit=2&offset=5')).members.map(({ user_id }) => user_id)).toEqual(ids.slice(5));
  });
});

describe('a board', () => {
  it('tells your role, and how many tasks it has', async () => {
    const none = { TODO: 0, IN_PROGRESS: 0, BLOCKED: 0, COMPLETED: 0, FAILED: 0, CANCELLED: 0 };
    const read = async (who: ApiClient) => (await who.get(`/boards/${board}`)).body;
    expect(await read(owner)).toMatchObject({ role: 'owner', task_counts: none });
    await set(owner, other, 'editor');
    const [first] = await Promise.all([owner.createTask(board), owner.createTask(board), owner.createTask(board)]);
    await other.patch(`/tasks/${first.id}/state`, { state: 'IN_PROGRESS' });
    expect(await read(other)).toMatchObject({ role: 'editor', task_counts: { ...none, TODO: 2, IN_PROGRESS: 1 } });
    expect(await read(admin)).toMatchObject({ role: null });
    await owner.delete(`/tasks/${first.id}`);
    expect(await read(owner)).toMatchObject({ task_counts: { ...none, TODO: 2 } });
  });
});
