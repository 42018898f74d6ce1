import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { query } from '../support/database.js';
import { RawHttp } from '../support/raw-http.js';
import { sendBytes } from '../support/raw-socket.js';
import { TestServer } from '../support/server.js';
import { AcpTestClient } from '../support/stream-clients.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const JWT_SECRET = 'of these tests alone: 0123456789abcdef0123456789abcdef';
const ORIGIN = 'https://board.example';
const STREAM = '/api/v1/orchestrator/stream';
const CAP = 4;
const NAMES = 5;
const PER_MINUTE = 60;
const FAILURES = 25;

let server: TestServer;
let raw: RawHttp;
const closers: (() => void)[] = [];

beforeAll(async () => {
  server = await TestServer.start({
    ...{ JWT_SECRET, CORS_ORIGINS: ORIGIN },
    ...{ KANDEV_STREAM_CONNECTIONS_PER_USER: String(CAP), KANDEV_STREAM_SUBSCRIPTIONS_PER_USER: String(NAMES) },
    ...{ RATE_LIMIT_PER_MINUTE: String(PER_MINUTE), RATE_LIMIT_ANONYMOUS_PER_MINUTE: String(FAILURES) },
    ...{ RATE_LIMIT_SIGN_INS_PER_ADDRESS: '0', TRUSTED_PROXIES: '1' },
  });
  raw = new RawHttp(() => server.url);
});
afterAll(async () => {
  raw.close();
  await server.dispose();
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

let addresses = 0;
/** As if from an address of its own, so that the failures of one test don't count for another. */
const fromElsewhere = () => ({ 'x-forwarded-for': `10.0.0.${++addresses}` });

/** Asks for a WebSocket; resolves with 101 and the socket, or with the refusal. */
async function knock(search: string, headers: Record<string, string> = {}, path = STREAM) {
  const socket = new WebSocket(`${server.url}${path}${search}`, { headers });
  closers.push(() => socket.terminate());
  socket.on('error', () => undefined);
  return new Promise<{ status: number; code?: string; retryAfter?: string; socket: WebSocket }>((resolve) => {
    socket.once('open', () => resolve({ status: 101, socket }));
    socket.once('unexpected-response', (_request, response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        const { code } = JSON.parse(text) as { code: string };
        resolve({ status: response.statusCode ?? 0, code, retryAfter: response.headers['retry-after'], socket });
      });
    });
  });
}

const knockAs = (user: TestUser, path = STREAM) => knock('', { authorization: `Bearer ${user.token}` }, path);

async function socketIo(auth: object, headers: Record<string, string> = {}): Promise<AcpTestClient> {
  const client = new AcpTestClient(server.url, undefined, { auth, extraHeaders: headers });
  closers.push(() => client.socket.disconnect());
  return client.connected();
}

const codeOf = (error: unknown) => (error as { data?: { code: string } }).data?.code;
const ticketOf = async (user: TestUser) => (await user.must<{ ticket: string }>(201, 'POST', '/auth/tickets')).ticket;
const events = (user: TestUser, headers: Record<string, string> = {}): Promise<Response> => {
  const leaving = new AbortController();
  closers.push(() => leaving.abort());
  return fetch(server.url + STREAM, {
    headers: { authorization: `Bearer ${user.token}`, ...headers },
    signal: leaving.signal,
  });
};

describe('a user', () => {
  it('has so many connections, of all kinds and by all keys together, however many are asked for at once', async () => {
    const [user, other] = [await server.newUser(), await server.newUser()];
    const { key } = await user.must<{ key: string }>(201, 'POST', '/api-keys', { name: 'k' });
    const attempts = await Promise.all([
      ...Array.from({ length: 4 }, async () => knockAs(user)),
      ...Array.from({ length: 2 }, async () => knock(`?token=${key}`)),
      ...Array.from({ length: 3 }, async () => {
        const { status, headers } = await events(user);
        return { status, retryAfter: headers.get('retry-after'), code: undefined };
      }),
      ...Array.from({ length: 3 }, async () => {
        const answer = await socketIo({ token: user.token }).catch(codeOf);
        return { status: typeof answer === 'object' ? 101 : 429, retryAfter: '1', code: undefined };
      }),
    ]);
    const isIn = ({ status }: { status: number }) => status === 101 || status === 200;
    expect(attempts.filter(isIn)).toHaveLength(CAP);
    for (const { status, code, retryAfter } of attempts.filter((one) => !isIn(one))) {
      expect([status, code ?? 'stream.too_many_connections']).toEqual([429, 'stream.too_many_connections']);
      expect(retryAfter).toMatch(/^\d+$/);
    }
    await expect(socketIo({ token: user.token })).rejects.toMatchObject({
      data: { code: 'stream.too_many_connections', retry_after_seconds: 30 },
    });
    expect((await knockAs(other)).status).toBe(101);
    for (const close of closers.splice(0)) close();
    await until('room again', async () => (await knockAs(user)).status === 101);
  });

  it('loses none of them by handshakes that come to nothing', async () => {
    const user = await server.newUser();
    const task = '019ac1a5-7c1e-7000-8000-000000000004';
    const path = `/api/v1/orchestrator/tasks/${task}/stream`;
    for (let n = 0; n < 2 * CAP; n++) expect((await knockAs(user, path)).status).toBe(404);
    const header = `Authorization: Bearer ${user.token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`;
    const halfWay = `GET ${STREAM} HTTP/1.1\r\nHost: x\r\n${header}Sec-WebSocket-Version: 13\r\n`;
    for (let n = 0; n < CAP; n++) expect(await sendBytes(server.url, `${halfWay}\r\n`)).toMatch(/^HTTP\/1\.1 400/);
    const sockets = await Promise.all(Array.from({ length: CAP }, () => socketIo({ token: user.token })));
    for (const { socket } of sockets) socket.disconnect();
    await until('all of them to be free', async () => {
      const opened = await Promise.all(Array.from({ length: CAP }, () => knockAs(user)));
      for (const { socket } of opened) socket.terminate();
      return opened.every(({ status }) => status === 101);
    });
  });

  it('names so many tasks and boards on all connections, however many are asked for at once', async () => {
    const user = await server.newUser();
    const board = await user.createBoard();
    const tasks: string[] = [];
    for (let n = 0; n < 4; n++) tasks.push((await user.createTask(board)).id);
    const clients = await Promise.all(Array.from({ length: 3 }, () => socketIo({ token: user.token })));
    const answers = await Promise.all(clients.map((one) => one.ask('subscribe', { task_ids: tasks })));
    expect(answers.filter(({ subscribed }) => subscribed)).toHaveLength(1);
    expect(answers.filter(({ error }) => error?.code === 'stream.too_many_subscriptions')).toHaveLength(2);
    expect(JSON.stringify(answers)).toContain('KANDEV_STREAM_SUBSCRIPTIONS_PER_USER');
    const [first, second] = clients;
    expect(await second!.ask('subscribe', { board_ids: [board] })).toMatchObject({ denied: [] });
    expect(await second!.ask('subscribe', {})).toMatchObject({ denied: [] }); // names nothing
    const holder = clients[answers.findIndex(({ subscribed }) => subscribed)] ?? first!;
    await holder.ask('unsubscribe', { task_ids: tasks });
    expect(await second!.ask('subscribe', { task_ids: tasks })).toMatchObject({ denied: [] });
  });

  it('asks and knocks as often as by HTTP, all of it together', async () => {
    const user = await server.newUser();
    const { socket } = await knockAs(user);
    socket.terminate();
    const client = await socketIo({ token: user.token });
    const answers = [];
    for (let n = 0; n < PER_MINUTE; n++) answers.push(await client.ask('unsubscribe', {}));
    const refused = answers.filter(({ error }) => error);
    expect(refused).toHaveLength(2); // for the two handshakes
    expect(refused[0]).toMatchObject({ error: { code: 'request.too_many', status: 429 } });
    const again = await knockAs(user);
    expect([again.status, again.code, again.retryAfter]).toEqual([
      429,
      'request.too_many',
      expect.stringMatching(/^\d+$/),
    ]);
    await expect(socketIo({ token: user.token })).rejects.toMatchObject({ data: { code: 'request.too_many' } });
    expect((await user.get('/auth/me')).status).toBe(429);
  });
});

describe('an address', () => {
  it('guesses no more than by HTTP, and its signed-in users are let in all the same', async () => {
    const user = await server.newUser();
    const headers = fromElsewhere();
    const codes: (string | undefined)[] = [];
    for (let n = 0; n < FAILURES; n += 5) {
      const wrong = await Promise.all([
        ...[knock('?token=kdv_nonsense', headers), knock('?ticket=nonsense', headers), knock('', headers)],
        ...[{ token: 'a.b.c' }, {}].map(async (auth) => ({
          code: codeOf(await socketIo(auth, headers).catch((e: unknown) => e)),
        })),
      ]);
      codes.push(...wrong.map(({ code }) => code));
    }
    expect(codes.filter((code) => code === 'request.too_many')).toEqual([]);
    const late = await knock('?token=kdv_nonsense', headers);
    expect([late.status, late.code, late.retryAfter]).toEqual([
      429,
      'request.too_many',
      expect.stringMatching(/^\d+$/),
    ]);
    await expect(socketIo({ token: 'x' }, headers)).rejects.toMatchObject({ data: { code: 'request.too_many' } });
    expect((await knock(`?token=${user.token}`, headers)).status).toBe(101);
  });

  it('has one client a transport of Socket.IO, which goes when the client leaves', async () => {
    const user = await server.newUser();
    const open = async () => {
      const socket = new WebSocket(`${server.url}/socket.io/?EIO=4&transport=websocket`, { headers: fromElsewhere() });
      closers.push(() => socket.terminate());
      const said: string[] = [];
      socket.on('message', (data: Buffer) => said.push(data.toString()));
      await once(socket, 'open');
      return { socket, said, closed: once(socket, 'close') };
    };
    const greedy = await open();
    const connect = `40/acp,${JSON.stringify({ token: user.token })}`;
    for (let n = 0; n < 50; n++) greedy.socket.send(connect);
    await greedy.closed;
    expect(greedy.said.filter((text) => text.startsWith('40/acp')).length).toBeLessThanOrEqual(1);
    const guest = await open();
    guest.socket.send(connect);
    await until('it to be in', () => guest.said.some((text) => text.startsWith('40/acp')));
    guest.socket.send('41/acp,');
    await guest.closed;
    const guesser = await open();
    guesser.socket.send('40/acp,{"token":"nonsense"}');
    await guesser.closed;
    expect(guesser.said.at(-1)).toContain('auth.invalid_token');
    const lost = await open();
    lost.socket.send('40');
    await until('it to be told', () => lost.said.some((text) => text.includes('stream.namespace')));
    await until('the connections to be free', async () => (await knockAs(user)).status === 101);
  });
});

describe('pages', () => {
  const host = () => new URL(server.url).host;
  const origins = (): [string, Record<string, string>, boolean][] => [
    ['the server itself', { origin: `http://${host()}` }, true],
    [
      'the server itself, by TLS in front of a proxy',
      { origin: `https://${host()}`, 'x-forwarded-proto': 'https' },
      true,
    ],
    ['a configured one', { origin: ORIGIN }, true],
    ['another scheme', { origin: `http://${host()}`, 'x-forwarded-proto': 'https' }, false],
    ['a scheme of no page', { origin: `ftp://${host()}` }, false],
    ['another port', { origin: 'http://127.0.0.1:1' }, false],
    ['no port', { origin: 'http://127.0.0.1' }, false],
    ['another scheme of a configured one', { origin: ORIGIN.replace('https', 'http') }, false],
    ['a longer name', { origin: `${ORIGIN}.evil.example` }, false],
    ['a sandbox', { origin: 'null' }, false],
    ['two at once', { origin: `${ORIGIN}, https://evil.example` }, false],
    ['with a path', { origin: `http://${host()}/` }, false],
    ['with a user', { origin: `http://x@${host()}` }, false],
  ];

  it('of other origins open nothing on any face, and read nothing', async () => {
    const user = await server.newUser();
    for (const [name, headers, allowed] of origins()) {
      const from = fromElsewhere();
      const ws = await knock('', { authorization: `Bearer ${user.token}`, ...headers, ...from });
      ws.socket.terminate();
      expect.soft([ws.status, ws.code], name).toEqual(allowed ? [101, undefined] : [403, 'origin.forbidden']);
      const polling = await raw.send({
        ...{ method: 'GET', path: '/socket.io/?EIO=4&transport=polling', headers: { ...headers, ...from } },
      });
      expect.soft(polling.status, name).toBe(allowed ? 200 : 403);
      expect.soft(polling.headers['access-control-allow-origin'], name).toBe(allowed ? headers['origin'] : undefined);
      const preflight = await raw.send({
        ...{ method: 'OPTIONS', path: '/socket.io/?EIO=4&transport=polling' },
        headers: { ...headers, 'access-control-request-method': 'POST' },
      });
      expect.soft(preflight.headers['access-control-allow-origin'], name).toBe(allowed ? headers['origin'] : undefined);
      expect.soft(preflight.headers['access-control-allow-credentials'], name).toBeUndefined();
    }
    const sse = await events(user, { origin: 'https://evil.example' });
    expect([sse.status, sse.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    const head = await fetch(server.url + STREAM, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${user.token}` },
    });
    expect(head.status).toBe(200);
    expect((await user.get('/auth/me')).status).toBe(200); // it is all well
  });

  it('use up no ticket when they are refused', async () => {
    const ticket = await ticketOf(await server.newUser());
    expect((await knock(`?ticket=${ticket}`, { origin: 'https://evil.example' })).code).toBe('origin.forbidden');
    expect((await knock(`?ticket=${ticket}`)).status).toBe(101);
  });
});

describe('what a handshake shows', () => {
  it('is a sound token, a key or a ticket, once', async () => {
    const [user, shut] = [await server.newUser(), await server.newUser()];
    const [head = '', body = ''] = user.token.split('.');
    const signed = (header: object, secret: string) => {
      const text = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${body}`;
      return `${text}.${secret === '' ? '' : createHmac('sha256', secret).update(text).digest('base64url')}`;
    };
    const forged = [
      ...[signed({ alg: 'none', typ: 'JWT' }, ''), signed({ alg: 'None' }, ''), signed({ alg: 'RS256' }, JWT_SECRET)],
      ...[signed({ alg: 'HS256' }, 'x'), signed({ alg: 'HS512' }, JWT_SECRET), `${head}.${body}.`, `${head}.${body}`],
    ];
    for (const token of forged) {
      const headers = fromElsewhere();
      expect
        .soft(await knock(`?token=${token}`, headers), token)
        .toMatchObject({ status: 401, code: 'auth.invalid_token' });
      await expect.soft(socketIo({ token }, headers)).rejects.toMatchObject({ data: { code: 'auth.invalid_token' } });
    }
    for (const auth of [{ token: [user.token] }, { token: { a: 1 } }, { token: 7 }, { ticket: {} }]) {
      await expect.soft(socketIo(auth, fromElsewhere())).rejects.toMatchObject({ data: { code: 'auth.required' } });
    }
    const [first, second] = [await ticketOf(shut), await ticketOf(shut)];
    const { id, key } = await shut.must<{ id: string; key: string }>(201, 'POST', '/api-keys', { name: 'k' });
    const script = await fetch(`${server.url}/api/v1/auth/tickets`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
    });
    const { ticket: ofKey } = (await script.json()) as { ticket: string };
    await shut.must(204, 'DELETE', `/api-keys/${id}`);
    expect(await knock(`?ticket=${ofKey}`, fromElsewhere())).toMatchObject({ status: 401, code: 'auth.invalid_key' });
    await query(server.database.url, 'update users set disabled_at = now() where id = $1', [shut.userId]);
    expect(await knock(`?ticket=${first}`, fromElsewhere())).toMatchObject({ code: 'auth.account_disabled' });
    await query(server.database.url, 'update users set disabled_at = null where id = $1', [shut.userId]);
    expect(await knock(`?ticket=${first}`, fromElsewhere())).toMatchObject({ code: 'auth.invalid_ticket' });
    const race = await Promise.all([
      ...Array.from({ length: 4 }, () => knock(`?ticket=${second}`, fromElsewhere())),
      socketIo({ ticket: second }, fromElsewhere()).then(
        () => ({ status: 101 }),
        () => ({ status: 401 }),
      ),
      fetch(`${server.url}${STREAM}?ticket=${second}`, { method: 'HEAD' }),
    ]);
    expect(race.filter(({ status }) => status === 101 || status === 200)).toHaveLength(1);
  });

  it('is the first of several, and not too large', async () => {
    const [user, other] = [await server.newUser(), await server.newUser()];
    const wrong = fromElsewhere();
    expect((await knock(`?token=nonsense&token=${user.token}`, wrong)).status).toBe(401);
    const upgrade =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
    const twice = `Authorization: Bearer nonsense\r\nAuthorization: Bearer ${other.token}`;
    const request = `GET ${STREAM} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.9.9.9\r\n${upgrade}\r\n${twice}\r\n\r\n`;
    expect(await sendBytes(server.url, request)).toMatch(/^HTTP\/1\.1 401/);
    const huge = await sendBytes(
      server.url,
      `GET ${STREAM}?token=${'x'.repeat(40_000)} HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n\r\n`,
    );
    expect(huge).toMatch(/^HTTP\/1\.1 413/);
  });

  it('is never in the log', async () => {
    const user = await server.newUser();
    const ticket = await ticketOf(user);
    const secret = 'kdv_a-secret-that-was-mistyped-0123456789abcdef';
    for (const search of [
      `?token=${user.token}`,
      `?ticket=${ticket}`,
      `?token=${secret}`,
      `?batch=x&token=${secret}`,
    ]) {
      await knock(search, fromElsewhere());
      const leaving = new AbortController();
      await fetch(server.url + STREAM + search, { signal: leaving.signal, headers: fromElsewhere() });
      leaving.abort();
      await raw.send({ method: 'GET', path: `/socket.io/${search}&EIO=4&transport=polling`, headers: fromElsewhere() });
      await raw.send({ method: 'GET', path: `/nowhere${search}`, headers: fromElsewhere() });
      await sendBytes(
        server.url,
        `GET ${STREAM}${search} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
      );
    }
    await until('the last requests to be logged', () => server.log.includes('/nowhere'));
    const signature = user.token.split('.')[2] ?? '-';
    for (const text of [user.token, signature, ticket, secret]) expect(server.log.includes(text)).toBe(false);
  });
});
