import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { httpAdapter } from '../../src/common/http/http-adapter.js';
import type { Config } from '../../src/common/config/config.js';
import { PASSWORD, type SignedInBody } from '../support/api-client.js';
import { ApiWorld, forge, JWT_SECRET } from '../support/api-world.js';
import { cellOf, contents, pathOf, settled } from '../support/matrix/cells.js';
import { MATRIX } from '../support/matrix/index.js';
import { OpenApi } from '../support/openapi.js';
import type { RawAnswer } from '../support/raw-http.js';
import { sendBytes, statusesIn } from '../support/raw-socket.js';
import { AcpTestClient, WsTestClient } from '../support/stream-clients.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

let world: ApiWorld;
let api: OpenApi;

beforeAll(async () => {
  world = await ApiWorld.open({ KANDEV_MAX_CONCURRENT_RUNS: '4' });
  api = await OpenApi.of(world.server.url);
});

afterAll(() => world.dispose());

type Body = Record<string, unknown>;
const codeOf = ({ json }: RawAnswer) => (json as { code?: string } | undefined)?.code;
const statusAndCode = (answer: RawAnswer) => [answer.status, codeOf(answer)];

/** Asks below `/api/v1`; by token, or as somebody. */
function ask(
  method: string,
  path: string,
  who?: TestUser | string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  const token = typeof who === 'object' ? who.token : who;
  return world.ask({ method, path: `/api/v1${path}`, token, body, headers });
}

async function newUser(): Promise<TestUser> {
  const user = await world.server.newUser();
  world.keepSecrets(user.tokens);
  return user;
}

/** Sets a role on the own board, or ends it. */
async function setRole(user: TestUser, role: string | null): Promise<void> {
  const path = `/boards/${world.own.board}/members/${user.userId}`;
  const answer = role ? await ask('PUT', path, world.own.owner, { role }) : await ask('DELETE', path, world.own.owner);
  expect(answer.status).toBe(role ? 200 : 204);
}

describe('access tokens', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const sidOf = (token: string) =>
    (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string }).sid;

  /** By what is wrong with them. */
  function forgeries(): Record<string, string> {
    const { owner, stranger, admin } = world.people;
    const { token } = owner;
    const [head = '', claims = '', signature = ''] = token.split('.');
    const unsigned = (alg: string) => `${encode({ alg, typ: 'JWT' })}.${claims}.`;
    return {
      'alg none': unsigned('none'),
      'alg None': unsigned('None'),
      'alg NONE with the old signature': `${unsigned('NONE')}${signature}`,
      'no signature': `${head}.${claims}.`,
      'two parts': `${head}.${claims}`,
      'another secret': forge(token, {}, {}, 'another secret'),
      'the empty secret': forge(token, {}, {}, '\0'),
      'RS256 in the header': forge(token, {}, { alg: 'RS256' }),
      'HS512 in the header': forge(token, {}, { alg: 'HS512' }),
      'a key of its own in the header': forge(
        token,
        {},
        { jwk: { kty: 'oct', k: 'YQ' }, kid: '../../../dev/null' },
        'a',
      ),
      'another audience': forge(token, { aud: 'other-api' }),
      'no audience': forge(token, { aud: undefined }),
      'another issuer': forge(token, { iss: 'other' }),
      'no issuer': forge(token, { iss: undefined }),
      'no expiry': forge(token, { exp: undefined }),
      'an expiry of text': forge(token, { exp: '9999999999' }),
      'a beginning in the future': forge(token, { nbf: now() + 3600 }),
      'no user': forge(token, { sub: undefined }),
      'an unknown user': forge(token, { sub: randomUUID() }),
      'a user that is no id': forge(token, { sub: "' or 1=1 --" }),
      'no sign-in': forge(token, { sid: undefined }),
      'an unknown sign-in': forge(token, { sid: randomUUID() }),
      'a sign-in that is no id': forge(token, { sid: 'x' }),
      "another user's sign-in": forge(token, { sid: sidOf(stranger.token) }),
      "an administrator's name on one's own sign-in": forge(token, { sub: admin.userId }),
      'changed claims under the old signature': `${head}.${encode({ sub: admin.userId, exp: now() + 60 })}.${signature}`,
      'a refresh token': owner.tokens?.refresh_token ?? '',
      'an unknown API key': `kdv_${'A'.repeat(43)}`,
      'the key of an agent, changed': `${world.own.key.slice(0, -1)}${world.own.key.endsWith('A') ? 'B' : 'A'}`,
    };
  }

  it('that are forged are worth nothing, anywhere', async () => {
    for (const [what, token] of Object.entries(forgeries())) {
      const answer = await ask('GET', '/auth/me', token);
      expect
        .soft([answer.status, answer.headers['www-authenticate']], `${what}: ${answer.text}`)
        .toEqual([401, 'Bearer']);
      const socket = new AcpTestClient(world.server.url, token);
      await expect.soft(socket.connected(), `${what}, Socket.IO`).rejects.toThrow();
      expect.soft(await upgrade(`/stream?token=${encodeURIComponent(token)}`), `${what}, WebSocket`).toBe(401);
    }
  });

  it('that have expired say so', async () => {
    const answer = await ask('GET', '/auth/me', world.token('expired'));
    expect(statusAndCode(answer)).toEqual([401, 'auth.token_expired']);
  });

  it('do not make an administrator by what they claim', async () => {
    const token = forge(world.people.owner.token, { role: 'admin', roles: ['admin'], is_admin: true });
    expect((await ask('GET', '/users', token)).status).toBe(403);
    expect((await ask('GET', `/boards/${world.foreign.board}`, token)).status).toBe(404);
  });

  it('are read from the header alone, by one scheme', async () => {
    const { token } = world.people.owner;
    for (const name of ['token', 'access_token', 'api_key', 'ticket', 'authorization', 'jwt']) {
      expect.soft((await ask('GET', `/auth/me?${name}=${token}`)).status, name).toBe(401);
    }
    for (const authorization of [
      `Basic ${token}`,
      token,
      `Bearer  ${token} x`,
      `Bearer ${token}, Bearer ${token}`,
      'Bearer ',
    ]) {
      expect
        .soft((await ask('GET', '/auth/me', undefined, undefined, { authorization })).status, authorization)
        .toBe(401);
    }
    for (const name of ['cookie', 'x-access-token', 'x-api-key', 'proxy-authorization']) {
      const headers = { [name]: name === 'cookie' ? `token=${token}; access_token=${token}` : token };
      expect.soft((await ask('GET', '/auth/me', undefined, undefined, headers)).status, name).toBe(401);
    }
  });

  it('of tickets open one stream once, and no operation', async () => {
    const ticket = async () =>
      ((await ask('POST', '/auth/tickets', world.people.owner)).json as { ticket: string }).ticket;
    const first = await ticket();
    expect((await ask('GET', '/auth/me', first)).status).toBe(401);
    expect((await ask('GET', `/auth/me?ticket=${first}`)).status).toBe(401);
    expect(await upgrade(`/tasks/${world.own.task}/stream?ticket=${first}`)).toBe(101);
    expect(await upgrade(`/tasks/${world.own.task}/stream?ticket=${first}`)).toBe(401);
    expect(await upgrade(`/tasks/${world.foreign.task}/stream?ticket=${await ticket()}`)).toBe(404);
    const many = await ticket();
    const all = await Promise.all([1, 2, 3, 4].map(() => upgrade(`/stream?ticket=${many}`)));
    expect(all.filter((status) => status === 101)).toHaveLength(1);
    expect(all.filter((status) => status === 401)).toHaveLength(3);
  });
});

const streams = () => `${world.server.url.replace(/^http/, 'ws')}/api/v1/orchestrator`;

/** The status of an upgrade below `/api/v1/orchestrator`. */
async function upgrade(path: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(streams() + path, { headers });
    socket.on('open', () => {
      socket.terminate();
      resolve(101);
    });
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
    socket.on('error', reject);
  });
}

describe("an end of somebody's rights counts at once", () => {
  it('on a board', async () => {
    const user = await newUser();
    const task = `/tasks/${world.own.task}`;
    await setRole(user, 'editor');
    expect((await ask('PUT', task, user, { title: 'mine' })).status).toBe(200);
    const replay = () =>
      ask(
        'POST',
        `/boards/${world.own.board}/tasks`,
        user,
        { title: 'x', description: 'x' },
        { 'idempotency-key': 'k' },
      );
    expect((await replay()).status).toBe(201);
    await setRole(user, 'viewer');
    expect((await ask('PUT', task, user, { title: 'mine' })).status).toBe(403);
    expect.soft((await replay()).status).toBe(403);
    const socket = await WsTestClient.open(`${streams()}/tasks/${world.own.task}/stream?token=${user.token}`);
    const closed = socket.closed();
    await setRole(user, null);
    expect((await ask('GET', task, user)).status).toBe(404);
    expect((await closed)[0]).toBeGreaterThan(1000);
    expect(await upgrade(`/tasks/${world.own.task}/stream?token=${user.token}`)).toBe(404);
    expect.soft((await replay()).status).toBe(404);
  });

  it('of an account, with its keys and sockets', async () => {
    const { admin } = world.people;
    const user = await newUser();
    const { key } = (await ask('POST', '/api-keys', user, { name: 'script' })).json as { key: string };
    expect((await ask('GET', '/auth/me', key)).status).toBe(200);
    const disable = (disabled: boolean) => ask('PATCH', `/users/${user.userId}`, admin, { disabled });
    const sockets = await Promise.all(
      [user.token, key].map((token) => WsTestClient.open(`${streams()}/stream?token=${token}`)),
    );
    const closed = Promise.all(sockets.map((socket) => socket.closed()));
    expect((await disable(true)).status).toBe(200);
    expect((await closed).every(([code]) => code > 1000)).toBe(true);
    for (const token of [user.token, key]) {
      expect((await ask('GET', '/auth/me', token)).status).toBe(401);
      expect(await upgrade(`/stream?token=${token}`)).toBe(401);
    }
    const { refresh_token } = user.tokens!;
    expect((await ask('POST', '/auth/refresh', undefined, { refresh_token })).status).toBe(401);
    const { username } = user.tokens!.user;
    const login = await ask('POST', '/auth/login', undefined, { username, password: PASSWORD });
    expect(login.status).toBe(401);
    const wrong = await ask('POST', '/auth/login', undefined, { username, password: 'a wrong password' });
    expect(codeOf(wrong)).toBe('auth.bad_credentials'); // who does not know the password learns nothing of the account
    await disable(false);
    expect((await ask('GET', '/auth/me', user)).status).toBe(401);
  });

  it('of an administrator', async () => {
    const user = await newUser();
    const change = (role: string) => ask('PATCH', `/users/${user.userId}`, world.people.admin, { role });
    await change('admin');
    expect((await ask('GET', '/users', user)).status).toBe(200);
    expect((await ask('GET', `/tasks/${world.foreign.task}`, user)).status).toBe(200);
    await change('member');
    expect((await ask('GET', '/users', user)).status).toBe(403);
    expect((await ask('GET', `/tasks/${world.foreign.task}`, user)).status).toBe(404);
  });

  it('of a key', async () => {
    const user = await newUser();
    const made = (await ask('POST', '/api-keys', user, { name: 'script' })).json as { id: string; key: string };
    expect((await ask('GET', '/auth/me', made.key)).status).toBe(200);
    expect((await ask('DELETE', `/api-keys/${made.id}`, user)).status).toBe(204);
    expect((await ask('GET', '/auth/me', made.key)).status).toBe(401);
  });

  it('of a sign-in: signing out, a new password, a refresh token used twice', async () => {
    const user = await newUser();
    const { username } = user.tokens!.user;
    const signIn = async () =>
      (await ask('POST', '/auth/login', undefined, { username, password: PASSWORD })).json as SignedInBody;
    const [out, changed, stolen] = [await signIn(), await signIn(), await signIn()];
    await ask('POST', '/auth/logout', undefined, { refresh_token: out.refresh_token });
    expect((await ask('GET', '/auth/me', out.access_token)).status).toBe(401);
    const refresh = ({ refresh_token }: SignedInBody) => ask('POST', '/auth/refresh', undefined, { refresh_token });
    const next = (await refresh(stolen)).json as SignedInBody;
    expect(statusAndCode(await refresh(stolen))).toEqual([401, 'auth.refresh_reused']);
    expect((await refresh(next)).status).toBe(401);
    expect((await ask('GET', '/auth/me', next.access_token)).status).toBe(401);
    const passwords = { current_password: PASSWORD, new_password: 'another horse battery staple' };
    world.secrets.add(passwords.new_password);
    expect((await ask('POST', '/auth/password', changed.access_token, passwords)).status).toBe(200);
    for (const { access_token } of [changed, user.tokens!]) {
      expect((await ask('GET', '/auth/me', access_token)).status).toBe(401);
    }
    expect((await refresh(changed)).status).toBe(401);
  });

  it('of an agent', async () => {
    const { owner, board } = world.own;
    const { id } = await owner.createTask(board, { agent_type: 'waiter' });
    await ask('POST', `/orchestrator/tasks/${id}/start`, owner, {});
    const { agent_instance_id: agent } = await owner.untilRun(id, ['RUNNING']);
    const key = world.keyOf(agent ?? '');
    const message = { type: 'log', data: { level: 'info', message: 'still here' } };
    expect((await ask('GET', `/tasks/${id}`, key)).status).toBe(200);
    expect((await ask('POST', `/agents/${agent}/messages`, key, message)).status).toBe(202);
    await ask('POST', `/orchestrator/tasks/${id}/stop`, owner, { force: true });
    await owner.untilRun(id, ['CANCELLED']);
    expect((await ask('GET', `/tasks/${id}`, key)).status).toBe(401);
    expect((await ask('POST', `/agents/${agent}/messages`, key, message)).status).toBe(401);
  });
});

describe("fields that are not the client's to set", () => {
  const FIELDS = [
    ...[
      'id',
      'owner_id',
      'state',
      'role',
      'version',
      'created_by',
      'assigned_agent_id',
      'user_id',
      'board_id',
      'status',
    ],
    ...[
      'created_at',
      'password_hash',
      'is_admin',
      'constructor',
      'prototype',
      '__proto__',
      'toString',
      'hasOwnProperty',
    ],
  ];
  const withField = (body: object, name: string) =>
    `${JSON.stringify(body).slice(0, -1)}${Object.keys(body).length > 0 ? ',' : ''}${JSON.stringify(name)}:"admin"}`;

  it.each(Object.keys(MATRIX))('are refused by %s', async (id) => {
    const operation = api.operation(id);
    const schema = operation.body && api.resolve(operation.body);
    if (!schema || id === 'postAgentMessages') return; // envelopes of agents are overwritten, not refused
    const row = MATRIX[id]!;
    const who = row.access('owner', 'own') === 'ok' ? 'owner' : 'admin';
    const plain = await row.ask?.({ ...cellOf(world, row, who, 'own'), allowed: false });
    const before = await settled(world);
    for (const field of FIELDS.filter((name) => !(schema.properties && Object.hasOwn(schema.properties, name)))) {
      const answer = await world.http.send({
        ...{ method: operation.method, path: pathOf(operation, plain ?? {}), token: world.token(who) },
        ...{ headers: { 'content-type': 'application/json' }, body: withField(plain?.body ?? {}, field) },
      });
      expect
        .soft([answer.status, codeOf(answer)], `${id} with ${field}: ${answer.text}`)
        .toEqual([400, 'request.invalid']);
    }
    expect(await contents(world)).toBe(before);
  });

  it('are overwritten in what agents say', async () => {
    const { task, agent, key } = world.own;
    const lie = { task_id: world.foreign.task, agent_id: world.foreign.agent, run_id: world.foreign.run, seq: 9_999 };
    const message = { type: 'log', ...lie, data: { level: 'info', message: 'a lie' } };
    const { json } = await ask('POST', `/agents/${agent}/messages`, key, message);
    const { first_seq } = json as { first_seq: number };
    expect(first_seq).toBeLessThan(9_999);
    const { rows } = await world.database.query(
      `select task_id, agent_id, run_id, seq::int from acp_messages where data ->> 'message' = 'a lie'`,
    );
    expect(rows).toEqual([{ task_id: task, agent_id: agent, run_id: world.own.run, seq: first_seq }]);
  });
});

describe('things of two boards can not be mixed', () => {
  it('in addresses', async () => {
    const { own, foreign } = world;
    const { owner } = own;
    const paths = [
      `/orchestrator/tasks/${own.finished.task}/artifacts/${foreign.finished.artifact}/download`,
      `/orchestrator/tasks/${own.task}/artifacts/${own.finished.artifact}/download`,
      `/orchestrator/tasks/${foreign.finished.task}/artifacts/${own.finished.artifact}/download`,
    ];
    for (const path of paths) expect.soft((await ask('GET', path, owner)).status, path).toBe(404);
    const member = `/boards/${own.board}/members/${world.people.stranger.userId}`;
    expect((await ask('DELETE', member, owner)).status).toBe(404);
  });

  it('in bodies', async () => {
    const { own, foreign } = world;
    const before = await settled(world);
    for (const action of ['delete', 'archive', 'set_state']) {
      const body = { action, task_ids: [foreign.finished.task], ...(action === 'set_state' ? { state: 'TODO' } : {}) };
      const { status, json } = await ask('POST', `/boards/${own.board}/tasks/bulk`, own.owner, body);
      expect({ status, json }).toMatchObject({
        status: 200,
        json: { results: [{ ok: false, code: 'task.not_found' }] },
      });
    }
    const depends = async (id: string) => {
      const { json } = await ask('PUT', `/tasks/${own.task}`, own.owner, { depends_on: [id] });
      return { ...(json as Body), correlation_id: '' };
    };
    expect(await depends(foreign.task)).toEqual(await depends(randomUUID()));
    expect(await contents(world)).toBe(before);
  });

  it('in keys of repeated requests', async () => {
    const { owner, stranger } = world.people;
    const make = (user: TestUser) => ask('POST', '/boards', user, { name: 'twice' }, { 'idempotency-key': 'the-same' });
    const [mine, again, theirs] = [await make(owner), await make(owner), await make(stranger)];
    expect(again.json).toEqual(mine.json);
    expect((theirs.json as Body)['owner_id']).toBe(stranger.userId);
  });
});

describe('names and headers', () => {
  it('of artifacts stay names', async () => {
    const { owner, board } = world.own;
    const names = [
      'a\r\nX-Evil: 1.svg',
      'b"; filename="c.html',
      "d'%0d%0aX-Evil: 1",
      'e\u202egnp.exe',
      'ü'.repeat(100),
      '..',
    ];
    const files = names.map((name) => `require('fs').writeFileSync(${JSON.stringify(`artifacts/${name}`)}, '<svg/>')`);
    const program = [`process.chdir(process.env.KANDEV_RUN_DIR)`, ...files.map((file) => `try{${file}}catch{}`)].join(
      ';',
    );
    const type = { name: 'evil', runtime: 'process', command: [process.execPath, '-e', program] };
    const { id } = await owner.createTask(board, { agent_type: await world.people.admin.createAgentType(type) });
    await ask('POST', `/orchestrator/tasks/${id}/start`, owner, {});
    await owner.untilRun(id, ['COMPLETED']);
    const { json } = await ask('GET', `/orchestrator/tasks/${id}/artifacts`, owner);
    const { artifacts } = json as { artifacts: { name: string; download_url: string }[] };
    expect(artifacts.length).toBeGreaterThanOrEqual(4);
    for (const { name, download_url } of artifacts) {
      const { status, headers, text } = await world.http.send({
        method: 'GET',
        path: download_url,
        token: owner.token,
      });
      expect.soft([status, text], name).toEqual([200, '<svg/>']);
      expect.soft(headers['x-evil'], name).toBeUndefined();
      expect
        .soft(headers['content-disposition'], name)
        .toMatch(/^attachment; filename="[\w.-]*"; filename\*=UTF-8''[\w.%~-]*$/);
      expect
        .soft([headers['content-type'], headers['x-content-type-options']], name)
        .toEqual([...['application/octet-stream', 'nosniff']]);
      expect.soft(headers['content-security-policy'], name).toMatch(/sandbox|default-src 'none'/);
    }
  });

  it('of artifacts are no paths', async () => {
    const { finished, owner } = world.own;
    const ids = [
      '../../../etc/passwd',
      '..%2f..%2f..%2fetc%2fpasswd',
      '%2e%2e',
      '%252e%252e%252f',
      '/etc/passwd',
      '....//',
    ];
    for (const id of [...ids, `${finished.artifact}/..`, `${finished.artifact}%00`, `${finished.artifact}%2f..`]) {
      const answer = await ask('GET', `/orchestrator/tasks/${finished.task}/artifacts/${id}/download`, owner);
      expect.soft([400, 404], `${id}: ${answer.text}`).toContain(answer.status);
      expect.soft(answer.text, id).not.toContain('root:');
    }
  });

  it('of correlation forge neither headers nor lines of the log', async () => {
    for (const id of ['a\tb', '{"level":60}', 'x'.repeat(101), '\u00e9', 'a,b', '<script>']) {
      const { headers } = await ask('GET', '/auth/me', undefined, undefined, { 'x-correlation-id': id });
      expect.soft(headers['x-correlation-id'], id).toMatch(/^[0-9a-f-]{36}$/);
    }
    const folded = 'GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Correlation-Id: a\r\n b\r\n\r\n';
    const answer = await sendBytes(world.server.url, folded);
    expect(answer).not.toMatch(/x-correlation-id: a/i);
  });

  it('that offer another protocol are answered in this one', async () => {
    const headers = {
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AAMAAABkAAQAoAAAAAIAAAAA',
    };
    const answer = await ask('GET', '/auth/me', world.people.owner, undefined, headers);
    expect([answer.status, answer.json]).toMatchObject([200, { username: 'owner' }]);
  });

  it('that would override the method do not', async () => {
    const { task, owner } = world.own;
    for (const header of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      for (const method of ['GET', 'POST', 'PUT']) {
        await ask(method, `/tasks/${task}?_method=DELETE`, owner, method === 'PUT' ? {} : undefined, {
          [header]: 'DELETE',
        });
      }
    }
    expect((await ask('GET', `/tasks/${task}`, owner)).status).toBe(200);
  });

  it('of other methods are answered soundly', async () => {
    for (const { path, operationId } of api.operations.filter(({ method }) => method === 'GET')) {
      const row = MATRIX[operationId]!;
      const plain = (await row.ask?.(cellOf(world, row, 'admin', 'own'))) ?? {};
      const address = pathOf(api.operation(operationId), plain);
      const head = await world.http.send({ method: 'HEAD', path: address, token: world.token('admin') });
      const get = await world.http.send({ method: 'GET', path: address, token: world.token('admin') });
      expect.soft([head.status, head.text], `HEAD ${path}`).toEqual([get.status, '']);
      const anonymous = await world.http.send({ method: 'HEAD', path: address });
      expect.soft(anonymous.status, `HEAD ${path} as nobody`).toBe(401);
      for (const method of ['OPTIONS', 'TRACE', 'PROPFIND']) {
        const { status } = await world.http.send({ method, path: address, token: world.token('admin') });
        expect.soft([200, 204, 400, 404, 405, 501], `${method} ${path}: ${status}`).toContain(status);
      }
    }
  });
});

describe('pages of other origins', () => {
  const EVIL = [
    'https://evil.example.com',
    'null',
    'file://',
    'http://127.0.0.1:1',
    'http://127.0.0.1.evil.example.com',
  ];

  it('open no socket', async () => {
    const { token } = world.people.owner;
    for (const origin of EVIL) {
      const headers = { origin, authorization: `Bearer ${token}` };
      expect.soft(await upgrade('/stream', headers), origin).toBe(403);
      expect.soft(await upgrade(`/tasks/${world.own.task}/stream?token=${token}`, { origin }), origin).toBe(403);
      const socket = new AcpTestClient(world.server.url, token, { extraHeaders: { origin } });
      await expect.soft(socket.connected(), origin).rejects.toThrow();
      const polling = new AcpTestClient(world.server.url, token, { extraHeaders: { origin }, transports: ['polling'] });
      await expect.soft(polling.connected(), `${origin}, polling`).rejects.toThrow();
    }
    expect(await upgrade('/stream', { origin: world.server.url, authorization: `Bearer ${token}` })).toBe(101);
  });

  it('read nothing', async () => {
    for (const origin of EVIL) {
      const get = await ask('GET', '/auth/me', world.people.owner, undefined, { origin });
      expect.soft(get.headers['access-control-allow-origin'], origin).toBeUndefined();
      const preflight = {
        origin,
        'access-control-request-method': 'DELETE',
        'access-control-request-headers': 'authorization',
      };
      const options = await ask('OPTIONS', `/tasks/${world.own.task}`, undefined, undefined, preflight);
      expect.soft(options.headers['access-control-allow-origin'], origin).toBeUndefined();
      expect.soft(options.headers['access-control-allow-credentials'], origin).toBeUndefined();
    }
  });
});

describe('accounts', () => {
  it('of one email are one, however many ask at once', async () => {
    const register = (index: number) => {
      const email = index % 2 ? 'Race@Example.com' : 'race@example.com';
      return ask('POST', '/auth/register', undefined, { email, username: `race${index}`, password: PASSWORD });
    };
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => register(index)));
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([201, ...Array<number>(99).fill(409)]);
    expect(new Set(answers.map(codeOf))).toEqual(new Set([undefined, 'user.email_taken']));
  });

  it('are not told apart from none by signing in', async () => {
    const attempt = async (login: object) => {
      const began = performance.now();
      const answer = await ask('POST', '/auth/login', undefined, { ...login, password: 'not the password' });
      const { correlation_id: _, ...body } = answer.json as Body;
      return { status: answer.status, body, ms: performance.now() - began };
    };
    const logins = [
      { username: 'owner' },
      { username: 'nobody-of-this-name' },
      { email: 'owner@example.com' },
      { email: 'no@b.de' },
    ];
    const rounds: Awaited<ReturnType<typeof attempt>>[] = [];
    for (let round = 0; round < 7; round++) for (const login of logins) rounds.push(await attempt(login));
    expect(new Set(rounds.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
    const median = (at: number) =>
      rounds
        .filter((_, i) => i % 4 === at)
        .map(({ ms }) => ms)
        .toSorted((a, b) => a - b)[3] ?? 0;
    // A hash costs some 50 ms, everything else one or two.
    expect(median(1)).toBeGreaterThan(median(0) / 3);
    expect(median(3)).toBeGreaterThan(median(2) / 3);
  });
});

describe('bytes that are no requests', () => {
  const post = (headers: string[], body: string) =>
    [`POST /api/v1/auth/login HTTP/1.1`, 'Host: kandev', 'Content-Type: application/json', ...headers, '', body].join(
      '\r\n',
    );
  const HIDDEN = 'GET /health/live HTTP/1.1\r\nHost: kandev\r\n\r\n';

  it.each([
    ['both lengths', post(['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${HIDDEN}`)],
    [
      'both lengths, the other way round',
      post(['Transfer-Encoding: chunked', 'Content-Length: 5'], `0\r\n\r\n${HIDDEN}`),
    ],
    ['two lengths', post(['Content-Length: 2', `Content-Length: ${HIDDEN.length}`], HIDDEN)],
    ['a list of lengths', post([`Content-Length: 2, ${HIDDEN.length}`], HIDDEN)],
    ['a length with a sign', post(['Content-Length: +2'], `{}${HIDDEN}`)],
    ['a negative length', post(['Content-Length: -1'], HIDDEN)],
    ['a blank before the colon', post(['Transfer-Encoding : chunked'], `0\r\n\r\n${HIDDEN}`)],
    ['chunked that is not last', post(['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${HIDDEN}`)],
    ['an unknown coding', post(['Transfer-Encoding: xchunked'], `0\r\n\r\n${HIDDEN}`)],
    ['a chunk whose size is no number', post(['Transfer-Encoding: chunked'], `zz\r\n{}\r\n0\r\n\r\n${HIDDEN}`)],
    [
      'a chunk too large to count',
      post(['Transfer-Encoding: chunked'], `ffffffffffffffffff\r\n{}\r\n0\r\n\r\n${HIDDEN}`),
    ],
    ['NUL in a header', post(['X-A: a\0b'], HIDDEN)],
    ['CR alone in a header', post(['X-A: a\rX-B: b'], HIDDEN)],
    ['no host', `GET /health/live HTTP/1.1\r\n\r\n${HIDDEN}`],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ])('such as %s are refused, and what follows is not read', async (_, bytes) => {
    const answer = await sendBytes(world.server.url, bytes);
    expect(statusesIn(answer), answer.slice(0, 500)).toEqual([400]);
  });

  it.each([
    ['deep lists', '['.repeat(300_000)],
    ['deep objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['many keys', `{${Array.from({ length: 60_000 }, (_, key) => `"k${key}":0`).join()}}`],
    ['keys of one hash bucket', `{${Array.from({ length: 30_000 }, (_, key) => `"${key * 65_536}":0`).join()}}`],
    ['a list of many', `{"title":[${'0,'.repeat(400_000)}0]}`],
    ['a long number', `{"priority":${'9'.repeat(900_000)}}`],
    ['a long text', `{"title":"${'\\u0041'.repeat(150_000)}"}`],
  ])('such as %s are refused quickly', async (_, body) => {
    const path = `/api/v1/boards/${world.own.board}/tasks`;
    const began = performance.now();
    const answer = await world.http.send({
      ...{ method: 'POST', path, token: world.token('owner'), headers: { 'content-type': 'application/json' }, body },
    });
    expect(answer.status).toBe(400);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('hold a worker only so long', () => {
    const adapter = httpAdapter({ http: { trusted_proxies: 0, cors_origins: [] } } as unknown as Config);
    const server = adapter.getHttpServer() as {
      requestTimeout: number;
      headersTimeout: number;
      keepAliveTimeout: number;
    };
    const MINUTE = 60_000;
    for (const limit of [server.requestTimeout, server.headersTimeout]) {
      expect(limit).toBeGreaterThan(0);
      expect(limit).toBeLessThanOrEqual(5 * MINUTE);
    }
    expect(server.headersTimeout).toBeLessThanOrEqual(server.requestTimeout);
    expect(server.keepAliveTimeout).toBeGreaterThan(0);
  });

  it('in hundreds of half-sent requests keep nobody waiting', async () => {
    const { hostname, port } = new URL(world.server.url);
    const sockets: Socket[] = Array.from({ length: 300 }, () => connect(Number(port), hostname));
    try {
      for (const [index, socket] of sockets.entries()) {
        socket.on('error', () => undefined);
        socket.write(
          index % 2 ? 'GET / HTTP/1.1\r\nX-A: ' : post(['Content-Length: 1000'], '{"username": "').slice(0, -1),
        );
      }
      const began = performance.now();
      for (let i = 0; i < 20; i++) expect((await ask('GET', '/auth/me', world.people.owner)).status).toBe(200);
      expect(performance.now() - began).toBeLessThan(5_000);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});

describe('after all of this', () => {
  it('the server is well', async () => {
    const ready = await until(
      'readiness',
      async () => (await world.ask({ method: 'GET', path: '/health/ready' })).status === 200,
    );
    expect(ready).toBe(true);
    expect(world.server.log).not.toMatch(/"level":(50|60)/);
  });

  it('no secret is in the log', () => {
    expect(world.secrets.size).toBeGreaterThan(20);
    expect([...world.secrets].filter((secret) => world.server.log.includes(secret))).toEqual([]);
  });

  it('no secret is in the database', async () => {
    const { rows: tables } = await world.database.query<{ name: string }>(
      `select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
    );
    for (const { name } of tables) {
      const { rows } = await world.database.query<{ row: string }>(`select to_jsonb(t)::text as row from "${name}" t`);
      const found = [...world.secrets].filter((secret) => rows.some(({ row }) => row.includes(secret)));
      expect.soft(found, name).toEqual([]);
    }
  });

  it('the secret that signs is nowhere', () => {
    expect(world.server.log).not.toContain(JWT_SECRET);
  });
});
