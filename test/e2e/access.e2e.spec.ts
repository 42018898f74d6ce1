import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, PASSWORD, statusesOf, type ProblemBody, type SignedInBody } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import { AcpTestClient, WsTestClient } from '../support/stream-clients.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const JWT_SECRET = 'of this test alone: 0123456789abcdef0123456789abcdef';
const ORIGIN = 'https://board.example';

interface ApiKeyBody {
  id: string;
  key: string;
  key_prefix: string;
  expires_at: string | null;
  last_used_at: string | null;
}
interface UserBody {
  id: string;
  username: string;
  role: string;
  disabled: boolean;
}
interface AuditBody {
  id: string;
  action: string;
  user_id: string | null;
  api_key_id: string | null;
  subject_id: string | null;
  address: string | null;
  correlation_id: string | null;
  data: Record<string, unknown>;
  created_at: string;
}
interface PageBody {
  total: number;
  next_cursor: string | null;
}

let server: TestServer;
let nobody: ApiClient;
let admin: TestUser;
beforeAll(async () => {
  const limits = { RATE_LIMIT_SIGN_INS_PER_ADDRESS: '0', RATE_LIMIT_FAILED_SIGN_INS_PER_ACCOUNT: '0' };
  server = await TestServer.start({ JWT_SECRET, CORS_ORIGINS: ORIGIN, ...limits });
  nobody = new ApiClient(() => server.url);
  admin = await server.newUser('admin');
});
afterAll(() => server.dispose());

const sql = <T extends object>(text: string, values: unknown[] = []) => query<T>(server.database.url, text, values);
const me = (token: string) => nobody.withToken(token).get('/auth/me');
const signIn = (username: string, password = PASSWORD) =>
  nobody.post<SignedInBody>('/auth/login', { username, password });
const audit = (filter: string) => admin.must<{ events: AuditBody[] } & PageBody>(200, 'GET', `/audit?${filter}`);
const newKey = (user: TestUser, fields: object = {}) =>
  user.must<ApiKeyBody>(201, 'POST', '/api-keys', { name: 'script', ...fields });
const newTicket = async (client: ApiClient) =>
  (await client.post<{ ticket: string; expires_in: number }>('/auth/tickets')).body;

/** The token with other claims or another header, signed by `signature`. */
function forge(
  token: string,
  claims: object,
  header: object = {},
  signature = (text: string) => createHmac('sha256', JWT_SECRET).update(text).digest('base64url'),
): string {
  const [head = '', body = ''] = token.split('.');
  const encode = (part: string, more: object) =>
    Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(part, 'base64url').toString()), ...more })).toString(
      'base64url',
    );
  const text = `${encode(head, header)}.${encode(body, claims)}`;
  return `${text}.${signature(text)}`;
}

describe('access tokens', () => {
  it('are refused with another algorithm, issuer, audience, end or sign-in', async () => {
    const [ann, bob] = [await server.newUser(), await server.newUser()];
    const claimsOf = (token: string) =>
      JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string; exp: number };
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' });
    const hmac = (hash: string, secret: string | Buffer) => (text: string) =>
      createHmac(hash, secret).update(text).digest('base64url');
    const rs256 = (text: string) => sign('sha256', Buffer.from(text), privateKey).toString('base64url');
    expect((await me(forge(ann.token, {}))).status).toBe(200); // so that the others fail for their own reason
    const attacks: [string, string][] = [
      [forge(ann.token, {}, { alg: 'none' }, () => ''), 'auth.invalid_token'],
      [forge(ann.token, {}, { alg: 'none' }), 'auth.invalid_token'],
      [forge(ann.token, {}, { alg: 'RS256' }, rs256), 'auth.invalid_token'],
      [forge(ann.token, {}, { alg: 'RS256' }), 'auth.invalid_token'],
      [forge(ann.token, {}, { alg: 'HS256' }, hmac('sha256', pem)), 'auth.invalid_token'],
      [forge(ann.token, {}, { alg: 'HS512' }, hmac('sha512', JWT_SECRET)), 'auth.invalid_token'],
      [forge(ann.token, {}, { kid: '/dev/null' }, hmac('sha256', '')), 'auth.invalid_token'],
      [forge(ann.token, { aud: 'another-api' }), 'auth.invalid_token'],
      [forge(ann.token, { iss: 'somebody' }), 'auth.invalid_token'],
      [forge(ann.token, { sid: undefined }), 'auth.invalid_token'],
      [forge(ann.token, { exp: undefined }), 'auth.invalid_token'],
      [forge(ann.token, { exp: Math.floor(Date.now() / 1000) - 1 }), 'auth.token_expired'],
      [forge(ann.token, { sid: claimsOf(bob.token).sid }), 'auth.session_ended'],
      [forge(ann.token, { sid: uuidv7() }), 'auth.session_ended'],
      [forge(ann.token, { sub: uuidv7() }), 'auth.user_gone'],
      ['kdv_nonsense', 'auth.invalid_key'],
      ['kda_nonsense', 'auth.invalid_key'],
    ];
    for (const [token, code] of attacks) {
      expect.soft(await me(token), token).toMatchObject({ status: 401, body: { code } });
    }
  });

  it('carry the role of now, whatever they say', async () => {
    const user = await server.newUser();
    const forged = nobody.withToken(forge(user.token, { role: 'admin' }));
    expect((await forged.get('/users')).status).toBe(403);
    await admin.must(200, 'PATCH', `/users/${user.userId}`, { role: 'admin' });
    expect((await user.get('/users')).status).toBe(200);
    await admin.must(200, 'PATCH', `/users/${user.userId}`, { role: 'member' });
    expect((await user.get('/users')).status).toBe(403);
  });

  it('outlive refresh tokens that are shorter', async () => {
    const user = await server.newUser();
    await sql(`update refresh_tokens set expires_at = now() - interval '1 hour' where user_id = $1`, [user.userId]);
    expect((await me(user.token)).status).toBe(200);
  });
});

describe('users', () => {
  it('are listed and found by administrators, oneself by oneself, nobody by others', async () => {
    const [zoe, zora] = [await server.newUser('Zoe'), await server.newUser('zora')];
    const list = (q: string) => admin.must<{ users: UserBody[] } & PageBody>(200, 'GET', `/users?${q}`);
    const { users, total } = await list('q=ZO');
    expect([users.map(({ username }) => username), total]).toEqual([['zora', 'Zoe'], 2]);
    expect((await list('q=zoe%40EXAMPLE')).total).toBe(1);
    expect((await list('q=oe')).total).toBe(0);
    expect((await list('q=%25')).total).toBe(0);
    const first = await list('limit=1');
    const rest = await list(`limit=200&cursor=${first.next_cursor}`);
    expect([...first.users, ...rest.users]).toHaveLength(first.total);
    expect(new Set([...first.users, ...rest.users].map(({ id }) => id)).size).toBe(first.total);

    expect(await zoe.get('/users')).toMatchObject({ status: 403, body: { code: 'user.forbidden' } });
    expect((await zoe.get(`/users/${zoe.userId}`)).status).toBe(200);
    expect((await admin.get(`/users/${zoe.userId}`)).status).toBe(200);
    for (const id of [zora.userId, uuidv7()]) {
      expect(await zoe.get(`/users/${id}`)).toMatchObject({ status: 404, body: { code: 'user.not_found' } });
      expect(await zoe.patch(`/users/${id}`, { role: 'admin' })).toMatchObject({ status: 404 });
    }
    expect(await zoe.patch(`/users/${zoe.userId}`, { role: 'admin' })).toMatchObject({
      status: 403,
      body: { code: 'user.forbidden' },
    });
    expect((await admin.patch(`/users/${uuidv7()}`, { role: 'admin' })).status).toBe(404);
  });

  it('are looked up by their exact name, by whoever is signed in', async () => {
    const [user, other] = [await server.newUser(), await server.newUser('Wanted.One')];
    const expected = { id: other.userId, username: 'Wanted.One' };
    for (const login of ['wanted.one', 'Wanted.One@EXAMPLE.com']) {
      const { status, body } = await user.get(`/users/lookup?login=${login}`);
      expect([status, body]).toEqual([200, expected]);
    }
    expect((await user.get('/users/lookup?login=wanted')).status).toBe(404);
    expect((await user.get('/users/lookup')).status).toBe(400);
    expect((await nobody.get('/users/lookup?login=wanted.one')).status).toBe(401);
  });

  it.each([{ email: 'x@example.com' }, { role: 'owner' }, { role: null }, { disabled: 'true' }, { disabled: null }])(
    'are not changed to %j',
    async (patch) => {
      expect((await admin.patch(`/users/${admin.userId}`, patch)).status).toBe(400);
    },
  );

  it('that are disabled are out at once, and in again when enabled', async () => {
    const user = await server.newUser('shut');
    const { key } = await newKey(user);
    const path = `/users/${user.userId}`;
    expect([(await me(user.token)).status, (await me(key)).status]).toEqual([200, 200]);
    expect((await admin.patch<UserBody>(path, { disabled: true })).body.disabled).toBe(true);
    for (const token of [user.token, key]) {
      expect(await me(token)).toMatchObject({ status: 401, body: { code: 'auth.account_disabled' } });
    }
    expect(await signIn('shut')).toMatchObject({ status: 401, body: { code: 'auth.account_disabled' } });
    expect(await signIn('shut', 'wrong password')).toMatchObject({ body: { code: 'auth.bad_credentials' } });
    const refresh_token = user.tokens?.refresh_token;
    expect((await nobody.post('/auth/refresh', { refresh_token })).status).toBe(401);
    expect((await admin.patch<UserBody>(path, { disabled: false })).body.disabled).toBe(false);
    expect(await me(user.token)).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
    expect([(await me(key)).status, (await signIn('shut')).status]).toEqual([200, 200]);
    const { events } = await audit(`subject_id=${user.userId}`);
    expect(events.map(({ action }) => action)).toEqual(expect.arrayContaining(['user.disabled', 'user.enabled']));
  });

  it('keep at least one administrator who can sign in, also when two unmake each other at once', async () => {
    const own = await TestServer.start();
    try {
      const first = await own.newUser();
      const second = await own.newUser();
      const patch = (by: TestUser, whom: TestUser, body: object) => by.patch(`/users/${whom.userId}`, body);
      for (const body of [{ role: 'member' }, { disabled: true }]) {
        expect(await patch(first, first, body)).toMatchObject({ status: 409, body: { code: 'user.last_admin' } });
      }
      for (let round = 0; round < 3; round++) {
        const [one, other] =
          round % 2 ? [{ role: 'member' }, { disabled: true }] : [{ role: 'member' }, { role: 'member' }];
        expect((await patch(first, second, { role: 'admin' })).status).toBe(200);
        const answers = await Promise.all([patch(first, second, one), patch(second, first, other)]);
        expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
        const refused = answers.find(({ status }) => status !== 200);
        // 409 when both were under way, 403 when one had ended before the other was let in.
        expect(['user.last_admin', 'user.forbidden', 'user.not_found']).toContain(refused?.body.code);
        const left = await query<{ id: string }>(
          own.database.url,
          `select id from users where role = 'admin' and disabled_at is null`,
        );
        expect(left).toHaveLength(1);
        await query(own.database.url, `update users set disabled_at = null, role = 'member'`);
        await query(own.database.url, `update users set role = 'admin' where id = $1`, [first.userId]);
        await query(own.database.url, `update refresh_tokens set revoked_at = null`);
        await until('both to be let in again', async () => {
          const seen = await Promise.all([first, second].map((user) => user.get<UserBody>('/auth/me')));
          return seen[0]?.body.role === 'admin' && seen[1]?.body.role === 'member';
        });
      }
    } finally {
      await own.dispose();
    }
  });
});

describe('API keys', () => {
  it('are shown once, kept as hashes, and good for what their user may do', async () => {
    const user = await server.newUser();
    const board = await user.createBoard();
    const key = await newKey(user);
    expect(key.key).toMatch(/^kdv_[\w-]{43}$/);
    const script = nobody.withToken(key.key);
    expect((await script.get(`/boards/${board}`)).status).toBe(200);
    expect(await me(key.key)).toMatchObject({ status: 200, body: { id: user.userId } });
    const { body } = await user.get<{ api_keys: ApiKeyBody[] } & PageBody>('/api-keys');
    expect(body.total).toBe(1);
    expect(body.api_keys[0]).toMatchObject({ id: key.id, key_prefix: key.key.slice(0, 12), expires_at: null });
    expect(body.api_keys[0]).not.toHaveProperty('key');
    const rows = await sql<{ row: string }>(`select row_to_json(k)::text as row from api_keys k`);
    expect(rows.map(({ row }) => row).join('\n')).not.toContain(key.key);
  });

  it('note once an hour that they are used, and from where', async () => {
    const user = await server.newUser();
    const { id, key } = await newKey(user);
    await Promise.all(Array.from({ length: 10 }, () => me(key)));
    const line = await until('the line', async () => (await audit(`action=api_key.used&subject_id=${id}`)).events[0]);
    expect(line).toMatchObject({ user_id: user.userId, api_key_id: id, address: '127.0.0.1' });
    await me(key);
    const { api_keys } = await user.must<{ api_keys: ApiKeyBody[] }>(200, 'GET', '/api-keys');
    expect(api_keys[0]?.last_used_at).toMatch(/Z$/);
    expect((await audit(`action=api_key.used&subject_id=${id}`)).total).toBe(1);
  });

  it('are dead at once when revoked, and at their end', async () => {
    const [user, other] = [await server.newUser(), await server.newUser()];
    const [revoked, ending] = [await newKey(user), await newKey(user, { expires_at: '2099-01-01T00:00:00Z' })];
    expect([(await me(revoked.key)).status, (await me(ending.key)).status]).toEqual([200, 200]);
    expect((await other.delete(`/api-keys/${revoked.id}`)).status).toBe(404);
    expect((await user.delete(`/api-keys/${revoked.id}`)).status).toBe(204);
    expect((await user.delete(`/api-keys/${revoked.id}`)).status).toBe(404);
    expect(await me(revoked.key)).toMatchObject({ status: 401, body: { code: 'auth.invalid_key' } });
    await sql(`update api_keys set expires_at = now() - interval '1 second' where id = $1`, [ending.id]);
    await until('the key to have expired', async () => (await me(ending.key)).body.code === 'auth.key_expired');
    const { body } = await user.get<{ api_keys: ApiKeyBody[] }>('/api-keys');
    expect(body.api_keys.map(({ id }) => id)).toEqual([ending.id]);
  });

  it('may neither manage keys nor change the password, but make tickets', async () => {
    const user = await server.newUser();
    const { id, key } = await newKey(user);
    const script = nobody.withToken(key);
    const passwords = { current_password: PASSWORD, new_password: 'a new password' };
    const answers = [
      await script.post('/api-keys', { name: 'another' }),
      await script.get('/api-keys'),
      await script.delete(`/api-keys/${id}`),
      await script.post('/auth/password', passwords),
    ];
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 403, body: { code: 'auth.session_required' } });
    }
    expect((await script.post('/auth/tickets')).status).toBe(201);
  });

  it.each([
    [{ name: '' }, 'name'],
    [{ name: 'x'.repeat(101) }, 'name'],
    [{ name: 'x', expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    [{ name: 'x', expires_at: 'tomorrow' }, 'expires_at'],
    [{ name: 'x', user_id: uuidv7() }, 'user_id'],
    [{ name: 'x', key_hash: 'x' }, 'key_hash'],
  ])('are not made of %j', async (body, field) => {
    const answer = await admin.post('/api-keys', body);
    expect([answer.status, answer.body.errors?.map((error) => error.field)]).toEqual([400, [field]]);
  });

  it('are fifty at most, however many are asked for at once', async () => {
    const user = await server.newUser();
    await sql(
      `insert into api_keys (id, user_id, name, key_prefix, key_hash, expires_at)
       select gen_random_uuid(), $1::uuid, 'k', 'kdv_', md5(n::text || $1::text), case when n > 48 then now() - interval '1 day' end
       from generate_series(1, 60) n`,
      [user.userId],
    );
    const answers = await Promise.all(Array.from({ length: 5 }, () => user.post('/api-keys', { name: 'one more' })));
    expect(statusesOf(answers)).toEqual([201, 201, 409, 409, 409]);
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('api_key.limit');
  });
});

describe('tickets and sockets', () => {
  const stream = () => `${server.url.replace(/^http/, 'ws')}/api/v1/orchestrator/stream`;
  const open = (search: string, headers: Record<string, string> = {}) =>
    WsTestClient.open(`${stream()}${search}`, { headers });
  const acp = (auth: object, options: object = {}) => new AcpTestClient(server.url, undefined, { auth, ...options });

  it('opens one stream with a ticket, once', async () => {
    const user = await server.newUser();
    const { ticket, expires_in } = await newTicket(user);
    expect(expires_in).toBe(30);
    const openings = await Promise.allSettled(Array.from({ length: 5 }, () => open(`?ticket=${ticket}`)));
    expect(openings.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(open(`?ticket=${ticket}`)).rejects.toThrow(/401/);
    const second = await newTicket(user);
    const client = await acp({ ticket: second.ticket }).connected();
    expect(await client.ask('subscribe', {})).toMatchObject({ subscribed: [] });
    await expect(acp({ ticket: second.ticket }).connected()).rejects.toMatchObject({
      data: { code: 'auth.invalid_ticket' },
    });
    client.socket.disconnect();
    for (const opening of openings) if (opening.status === 'fulfilled') opening.value.socket.terminate();
  });

  it('refuses old tickets and those of ended sign-ins, and keeps none', async () => {
    const user = await server.newUser();
    const old = await newTicket(user);
    await sql(`update tickets set expires_at = now() - interval '1 second' where user_id = $1`, [user.userId]);
    await expect(open(`?ticket=${old.ticket}`)).rejects.toThrow(/401/);
    const late = await newTicket(user);
    await nobody.post('/auth/logout', { refresh_token: user.tokens?.refresh_token });
    await expect(acp(late).connected()).rejects.toMatchObject({ data: { code: 'auth.session_ended' } });
    expect(await sql('select 1 from tickets where user_id = $1', [user.userId])).toEqual([]);
    const rows = await sql<{ row: string }>('select row_to_json(t)::text as row from tickets t');
    const { ticket } = await newTicket(admin);
    expect(rows.map(({ row }) => row).join()).not.toContain(ticket);
  });

  it('accepts API keys as it accepts tokens', async () => {
    const user = await server.newUser();
    const { key } = await newKey(user);
    for (const [search, headers] of [
      [`?token=${key}`, {}],
      ['', { authorization: `Bearer ${key}` }],
      [`?token=${user.token}`, {}],
      [`?ticket=${(await newTicket(nobody.withToken(key))).ticket}`, {}],
    ] as const) {
      (await open(search, headers)).socket.terminate();
    }
    for (const auth of [{ token: key }, { token: user.token }]) (await acp(auth).connected()).socket.disconnect();
    await expect(acp({ token: 'kdv_nonsense' }).connected()).rejects.toMatchObject({
      data: { code: 'auth.invalid_key' },
    });
  });

  it('closes the streams of those who are signed out, disabled or whose key is revoked', async () => {
    const user = await server.newUser();
    const { id, key } = await newKey(user);
    const bySession = await open(`?token=${user.token}`);
    const byTicket = await open(`?ticket=${(await newTicket(user)).ticket}`);
    const byKey = await acp({ token: key }).connected();
    const closed = [bySession.closed(), byTicket.closed()];
    await nobody.post('/auth/logout', { refresh_token: user.tokens?.refresh_token });
    for (const [code, reason] of await Promise.all(closed)) {
      expect([code, reason]).toEqual([1008, expect.stringMatching(/^auth\.session_ended: /)]);
    }
    const back = await server.newUser(); // somebody else's stream stays
    const other = await open(`?token=${back.token}`);
    const told = byKey.next('error');
    const { body } = await signIn(user.tokens?.user.username ?? '');
    expect((await nobody.withToken(body.access_token).delete(`/api-keys/${id}`)).status).toBe(204);
    expect(await told).toMatchObject({ code: 'auth.invalid_key' });
    expect(await other.ask({ action: 'subscribe' })).toMatchObject({ ok: true });
    const shut = other.closed();
    await admin.must(200, 'PATCH', `/users/${back.userId}`, { disabled: true });
    expect(await shut).toEqual([1008, expect.stringMatching(/^auth\.account_disabled: /)]);
  });

  it('lets in pages of the configured origins, and of no other', async () => {
    const authorization = `Bearer ${admin.token}`;
    (await open('', { authorization, origin: ORIGIN })).socket.terminate();
    for (const origin of ['https://evil.example', `${ORIGIN}.evil.example`, 'http://board.example', 'null']) {
      await expect(open('', { authorization, origin })).rejects.toThrow(/403/);
    }
    const polling = (origin: string) =>
      fetch(`${server.url}/socket.io/?EIO=4&transport=polling`, { headers: { origin } });
    const friendly = await polling(ORIGIN);
    expect([friendly.status, friendly.headers.get('access-control-allow-origin')]).toEqual([200, ORIGIN]);
    const evil = await polling('https://evil.example');
    expect([evil.status, evil.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  });
});

it('forgets tickets and refresh tokens, but not before the access token that came along has ended', async () => {
  const [alive, dead] = [await server.newUser(), await server.newUser()];
  const expire = (user: TestUser, age: string) =>
    sql(
      `update refresh_tokens set expires_at = now() - interval '1 hour', created_at = now() - $2::interval
       where user_id = $1`,
      [user.userId, age],
    );
  await expire(alive, '23 hours');
  await expire(dead, '25 hours');
  await newTicket(alive);
  await sql(`update tickets set expires_at = now() - interval '1 second' where user_id = $1`, [alive.userId]);
  await server.stop();
  await server.start(); // chores are done at start
  const rows = (table: string, { userId }: TestUser) => sql(`select 1 from ${table} where user_id = $1`, [userId]);
  await until('the rows to go', async () => (await rows('refresh_tokens', dead)).length === 0);
  await until('the ticket to go', async () => (await rows('tickets', alive)).length === 0);
  expect((await me(alive.token)).status).toBe(200);
  expect(await me(dead.token)).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
});

describe('the audit log', () => {
  it('tells of sign-ins, failures and ends, without secrets', async () => {
    const user = await server.newUser('audited');
    const wrong = 'my secret password';
    await signIn('audited', wrong);
    await signIn(wrong, wrong);
    await signIn(`nobody-${'x'.repeat(200)}`, wrong);
    const { body } = await signIn('AUDITED');
    await nobody.post('/auth/refresh', { refresh_token: body.refresh_token });
    await nobody.post('/auth/refresh', { refresh_token: body.refresh_token });
    await nobody.post('/auth/logout', { refresh_token: user.tokens?.refresh_token });
    const { events, total } = await audit(`subject_id=${user.userId}`);
    expect(events.map(({ action }) => action)).toEqual([
      ...['auth.signed_out', 'auth.refresh_reused', 'auth.refreshed', 'auth.signed_in'],
      ...['auth.sign_in_failed', 'auth.registered'],
    ]);
    expect(total).toBe(6);
    expect(events.every(({ address, correlation_id }) => address === '127.0.0.1' && correlation_id)).toBe(true);
    expect(events[4]).toMatchObject({ user_id: null, data: { login: 'audited' } });
    const unknown = (await audit('action=auth.sign_in_failed')).events.filter(({ subject_id }) => !subject_id);
    expect(unknown.length).toBeGreaterThanOrEqual(2);
    expect(unknown.every(({ data }) => Object.keys(data).length === 0)).toBe(true);
    const rows = await sql<{ row: string }>('select row_to_json(a)::text as row from audit_events a');
    const stored = rows.map(({ row }) => row).join('\n');
    for (const secret of [wrong, PASSWORD, body.refresh_token, body.access_token, user.token]) {
      expect(stored).not.toContain(secret);
    }
  });

  it('is paged, filtered, and for administrators alone', async () => {
    const user = await server.newUser();
    for (const role of ['admin', 'member', 'admin', 'member']) {
      await admin.must(200, 'PATCH', `/users/${user.userId}`, { role });
    }
    const filter = `action=user.role_changed&user_id=${admin.userId}&subject_id=${user.userId}`;
    const all = await audit(filter);
    expect(all.total).toBe(4);
    expect(all.events[0]).toMatchObject({ data: { from: 'admin', to: 'member' } });
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: { events: AuditBody[] } & PageBody = await audit(
        `${filter}&limit=3${cursor ? `&cursor=${cursor}` : ''}`,
      );
      expect(page.total).toBe(4);
      pages.push(...page.events.map(({ id }) => id));
      cursor = page.next_cursor;
    }
    expect(pages).toEqual(all.events.map(({ id }) => id));
    const third = all.events[2]?.created_at ?? '';
    expect((await audit(`${filter}&created_before=${third}`)).total).toBe(1);
    expect((await audit(`${filter}&created_after=${third}`)).total).toBe(3);
    for (const wrong of ['action=nonsense', 'user_id=1', 'created_after=yesterday', 'cursor=x', 'who=me']) {
      expect((await admin.get(`/audit?${wrong}`)).status).toBe(400);
    }
    expect(await user.get('/audit')).toMatchObject({ status: 403, body: { code: 'audit.forbidden' } });
    expect((await nobody.get('/audit')).status).toBe(401);
  });
});

describe('guessing passwords', () => {
  const FAILURES = 4;
  const strangers = ['guessed', 'guessed@example.com', 'unknown', 'unknown@example.com'];
  const shape = ({ body }: { body: ProblemBody }) => {
    const { correlation_id: _id, detail: _text, retry_after_seconds: seconds, ...rest } = body;
    return { ...rest, waits: typeof seconds };
  };

  it('is slowed down by account, in the same way for those that do not exist', async () => {
    const own = await TestServer.start({
      ...{ RATE_LIMIT_FAILED_SIGN_INS_PER_ACCOUNT: String(FAILURES), RATE_LIMIT_SIGN_INS_PER_ADDRESS: '0' },
    });
    try {
      const stranger = new ApiClient(() => own.url);
      await own.newUser('guessed');
      const bystander = await own.newUser('bystander');
      const login = (name: string, password: string) =>
        stranger.post('/auth/login', { [name.includes('@') ? 'email' : 'username']: name, password });
      const courses: unknown[] = [];
      for (const name of strangers) {
        const together = await Promise.all(Array.from({ length: 20 }, () => login(name, 'wrong password')));
        expect(together.filter(({ status }) => status === 401)).toHaveLength(FAILURES);
        expect(together.filter(({ body }) => body.code === 'auth.too_many_attempts')).toHaveLength(20 - FAILURES);
        const last = await login(name.toUpperCase(), PASSWORD);
        expect(last.headers.get('retry-after')).toMatch(/^\d+$/);
        expect(Number(last.body['retry_after_seconds'])).toBeLessThanOrEqual(300);
        courses.push([...new Set([...together, last].map((answer) => JSON.stringify(shape(answer))))].toSorted());
      }
      expect(new Set(courses.map((course) => JSON.stringify(course))).size).toBe(1);
      for (let round = 0; round < 3; round++) {
        for (let failure = 1; failure < FAILURES; failure++) await login('bystander', 'wrong password');
        expect((await login('bystander', PASSWORD)).status).toBe(200); // success forgets the failures before it
      }
      const change = { current_password: 'wrong password', new_password: 'a new password' };
      const changes: number[] = [];
      for (let n = 0; n <= FAILURES; n++) changes.push((await bystander.post('/auth/password', change)).status);
      expect(changes).toEqual([...Array<number>(FAILURES).fill(403), 429]);
    } finally {
      await own.dispose();
    }
  });

  it('is slowed down by address, whatever the account and the outcome', async () => {
    const own = await TestServer.start({ RATE_LIMIT_SIGN_INS_PER_ADDRESS: '5' });
    try {
      const stranger = new ApiClient(() => own.url);
      await own.newUser('known');
      const login = (username: string) => stranger.post('/auth/login', { username, password: PASSWORD });
      const answers: number[] = [];
      for (const name of ['known', 'a', 'b', 'c', 'known', 'known', 'd']) answers.push((await login(name)).status);
      expect(answers).toEqual([200, 401, 401, 401, 200, 429, 429]);
    } finally {
      await own.dispose();
    }
  });

  it('takes as long for an account that does not exist', async () => {
    await server.newUser('timed');
    const median = async (name: string) => {
      const times: number[] = [];
      for (let n = 0; n < 9; n++) {
        const start = performance.now();
        await signIn(name, 'wrong password');
        times.push(performance.now() - start);
      }
      return times.toSorted((a, b) => a - b)[4] ?? 0;
    };
    const [known, unknown] = [await median('timed'), await median('untimed')];
    expect(unknown).toBeGreaterThan(known / 3); // without the decoy it is a tenth; the rest is the machine's unrest
  });
});
