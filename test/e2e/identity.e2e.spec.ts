import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, PASSWORD, statusesOf, type SignedInBody } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const account = (name: string) => ({ email: `${name}@example.com`, username: name, password: PASSWORD });

describe('identity', () => {
  let server: TestServer;
  let nobody: ApiClient;
  beforeAll(async () => {
    server = await TestServer.start();
    nobody = new ApiClient(() => server.url);
  });
  afterAll(() => server.dispose());

  it('makes just one of many first users the administrator', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `first${index}`);
    const answers = await Promise.all(names.map((name) => nobody.post<SignedInBody>('/auth/register', account(name))));
    expect(answers.map(({ status }) => status)).toEqual(names.map(() => 201));
    expect(answers.filter(({ body }) => body.user.role === 'admin')).toHaveLength(1);
    expect(answers.filter(({ body }) => body.user.role === 'member')).toHaveLength(7);
  });

  it('registers, and gives tokens that work', async () => {
    const { status, body } = await nobody.post<SignedInBody>('/auth/register', {
      email: 'Ann.Lee@Example.com',
      username: 'Ann.Lee',
      password: PASSWORD,
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      user: {
        id: expect.stringMatching(UUID_V7) as string,
        email: 'ann.lee@example.com',
        username: 'Ann.Lee',
        role: 'member',
        disabled: false,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        updated_at: expect.any(String) as string,
      },
      access_token: expect.any(String) as string,
      refresh_token: expect.stringMatching(/^[\w-]{43}$/) as string,
      token_type: 'Bearer',
      expires_in: 86_400,
    });
    const me = await nobody.withToken(body.access_token).get('/auth/me');
    expect(me).toMatchObject({ status: 200, body: body.user });
  });

  it('keeps neither passwords nor refresh tokens', async () => {
    const { tokens } = await server.newUser('keeper');
    const rows = await query<{ row: string }>(
      server.database.url,
      `select row_to_json(u)::text as row from users u union all select row_to_json(t)::text from refresh_tokens t`,
    );
    const stored = rows.map(({ row }) => row).join('\n');
    expect(stored).not.toContain(PASSWORD);
    expect(stored).not.toContain(tokens?.refresh_token ?? PASSWORD);
    expect(stored).toContain('$argon2id$v=19$m=19456,t=2,p=1$');
  });

  it('lets an email and a username be taken once, whatever the case and however fast', async () => {
    const one = (email: string, username: string) =>
      nobody.post('/auth/register', { email, username, password: PASSWORD });
    const emails = await Promise.all(
      [1, 2, 3, 4].map((n) => one(n % 2 ? 'Same@example.com' : 'same@EXAMPLE.com', `same${n}`)),
    );
    expect(statusesOf(emails)).toEqual([201, 409, 409, 409]);
    expect(emails.filter(({ status }) => status === 409).map(({ body }) => body.code)).toEqual(
      Array(3).fill('user.email_taken'),
    );
    const names = await Promise.all(
      [1, 2, 3, 4].map((n) => one(`name${n}@example.com`, n % 2 ? 'TheName' : 'thename')),
    );
    expect(statusesOf(names)).toEqual([201, 409, 409, 409]);
    expect(names.filter(({ status }) => status === 409).map(({ body }) => body.code)).toEqual(
      Array(3).fill('user.username_taken'),
    );
  });

  it.each([
    [{ email: 'no email' }, 'email'],
    [
      { email: `${'a'.repeat(64)}@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(60)}.com` },
      'email',
    ],
    [{ email: 5 }, 'email'],
    [{ username: 'ab' }, 'username'],
    [{ username: 'a'.repeat(101) }, 'username'],
    [{ username: 'a b c' }, 'username'],
    [{ username: 'ann@example.com' }, 'username'],
    [{ username: 'ann\n' }, 'username'],
    [{ password: 'too short' }, 'password'],
    [{ password: 'x'.repeat(201) }, 'password'],
    [{ password: 'long enough\0' }, 'password'],
    [{ password: 'long enough\ud800' }, 'password'],
    [{ password: null }, 'password'],
    [{ role: 'admin' }, 'role'],
    [{ id: '019ac1a5-7c1e-7000-8000-000000000000' }, 'id'],
  ])('refuses to register %j', async (wrong, field) => {
    const { status, body } = await nobody.post('/auth/register', { ...account('somebody'), ...wrong });
    expect(status).toBe(400);
    expect(body.code).toBe('request.invalid');
    expect(body.errors?.map((error) => error.field)).toEqual([field]);
  });

  it('answers a broken body with a problem, and lives on', async () => {
    for (const body of [
      '',
      '{',
      '[]',
      'null',
      '"x"',
      '{"__proto__": {}}',
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    ]) {
      const answer = await nobody.post('/auth/register', body, { 'content-type': 'application/json' });
      expect(answer.status).toBe(400);
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(answer.body.code).toMatch(/^request\.(invalid|malformed)$/);
    }
  });

  it('signs in by email or username, in whatever case', async () => {
    await server.newUser('SignIn');
    for (const login of [{ email: 'SIGNIN@example.com' }, { username: 'signin' }, { username: 'SignIn' }]) {
      const { status, body } = await nobody.post<SignedInBody>('/auth/login', { ...login, password: PASSWORD });
      expect(status).toBe(200);
      expect(body.user.username).toBe('SignIn');
    }
  });

  it('says the same of an unknown account as of a wrong password', async () => {
    await server.newUser('known');
    const wrong = await nobody.post('/auth/login', { username: 'known', password: 'wrong password' });
    const unknown = await nobody.post('/auth/login', { username: 'unknown', password: 'wrong password' });
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    const { correlation_id: _one, ...first } = wrong.body;
    const { correlation_id: _two, ...second } = unknown.body;
    expect(first).toEqual(second);
    expect(first.code).toBe('auth.bad_credentials');
  });

  it.each([[{}], [{ email: 'a@example.com', username: 'a' }], [{ email: null }], [{ username: '' }]])(
    'refuses to sign in with %j',
    async (login) => {
      const { status, body } = await nobody.post('/auth/login', { ...login, password: PASSWORD });
      expect([status, body.code]).toEqual([400, 'request.invalid']);
    },
  );

  it('exchanges a refresh token once; a second time ends the sign-in', async () => {
    const { tokens } = await server.newUser();
    const refresh = (refresh_token?: string) => nobody.post<SignedInBody>('/auth/refresh', { refresh_token });
    const second = await refresh(tokens?.refresh_token);
    expect(second.status).toBe(200);
    expect(second.body.refresh_token).not.toBe(tokens?.refresh_token);
    const third = await refresh(second.body.refresh_token);
    expect(third.status).toBe(200);
    expect(await refresh(tokens?.refresh_token)).toMatchObject({ status: 401, body: { code: 'auth.refresh_reused' } });
    expect(await refresh(third.body.refresh_token)).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_refresh_token' },
    });
  });

  it('gives one of many exchanges of the same token a pair', async () => {
    const { tokens } = await server.newUser();
    const exchange = () => nobody.post('/auth/refresh', { refresh_token: tokens?.refresh_token });
    const answers = await Promise.all(Array.from({ length: 20 }, exchange));
    expect(statusesOf(answers)).toEqual([200, ...Array<number>(19).fill(401)]);
    expect(answers.filter(({ status }) => status === 401).map(({ body }) => body.code)).toEqual(
      Array(19).fill('auth.refresh_reused'),
    );
  });

  it('refuses expired and unknown refresh tokens', async () => {
    const { tokens, userId } = await server.newUser();
    await query(
      server.database.url,
      `update refresh_tokens set expires_at = now() - interval '1 second' where user_id = $1`,
      [userId],
    );
    for (const refresh_token of [tokens?.refresh_token, 'unknown']) {
      const { status, body } = await nobody.post('/auth/refresh', { refresh_token });
      expect([status, body.code]).toEqual([401, 'auth.invalid_refresh_token']);
    }
  });

  it('signs out of one sign-in, and of no other', async () => {
    const { tokens } = await server.newUser('twice');
    const other = await nobody.post<SignedInBody>('/auth/login', { username: 'twice', password: PASSWORD });
    const refresh_token = tokens?.refresh_token;
    expect((await nobody.post('/auth/logout', { refresh_token })).status).toBe(204);
    expect((await nobody.post('/auth/logout', { refresh_token })).status).toBe(204);
    expect((await nobody.post('/auth/logout', { refresh_token: 'unknown' })).status).toBe(204);
    expect((await nobody.post('/auth/refresh', { refresh_token })).status).toBe(401);
    expect((await nobody.post('/auth/refresh', { refresh_token: other.body.refresh_token })).status).toBe(200);
  });

  it('ends the access token together with its sign-in, at once', async () => {
    const user = await server.newUser();
    const other = await nobody.post<SignedInBody>('/auth/login', {
      username: user.tokens?.user.username,
      password: PASSWORD,
    });
    expect((await user.get('/auth/me')).status).toBe(200);
    await nobody.post('/auth/logout', { refresh_token: user.tokens?.refresh_token });
    expect(await user.get('/auth/me')).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
    expect((await nobody.withToken(other.body.access_token).get('/auth/me')).status).toBe(200);
  });

  it('ends the access tokens of a sign-in whose refresh token was used twice', async () => {
    const user = await server.newUser();
    const refresh_token = user.tokens?.refresh_token;
    const { body } = await nobody.post<SignedInBody>('/auth/refresh', { refresh_token });
    const renewed = nobody.withToken(body.access_token);
    expect([(await user.get('/auth/me')).status, (await renewed.get('/auth/me')).status]).toEqual([200, 200]);
    await nobody.post('/auth/refresh', { refresh_token });
    for (const client of [user, renewed]) {
      expect(await client.get('/auth/me')).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
    }
  });

  it('changes a password, and begins anew', async () => {
    const user = await server.newUser('changer');
    const login = (password: string) => nobody.post<SignedInBody>('/auth/login', { username: 'changer', password });
    const other = nobody.withToken((await login(PASSWORD)).body.access_token);
    expect((await other.get('/auth/me')).status).toBe(200);
    const change = (current_password: string, new_password: string) =>
      user.post<SignedInBody>('/auth/password', { current_password, new_password });
    expect(await change('wrong password', 'a new password')).toMatchObject({
      status: 403,
      body: { code: 'auth.wrong_password' },
    });
    expect((await change(PASSWORD, 'too short')).status).toBe(400);
    const { status, body } = await change(PASSWORD, 'a new password');
    expect(status).toBe(200);
    for (const client of [user, other]) {
      expect(await client.get('/auth/me')).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
    }
    expect((await nobody.withToken(body.access_token).get('/auth/me')).status).toBe(200);
    expect((await nobody.post('/auth/refresh', { refresh_token: user.tokens?.refresh_token })).status).toBe(401);
    expect((await nobody.post('/auth/refresh', { refresh_token: body.refresh_token })).status).toBe(200);
    expect([(await login(PASSWORD)).status, (await login('a new password')).status]).toEqual([401, 200]);
  });

  it('signs nobody in with a password that is being changed', async () => {
    const user = await server.newUser('racer');
    const login = () => nobody.post<SignedInBody>('/auth/login', { username: 'racer', password: PASSWORD });
    const [changed, ...signedIn] = await Promise.all([
      user.post<SignedInBody>('/auth/password', { current_password: PASSWORD, new_password: 'a new password' }),
      ...Array.from({ length: 8 }, login),
    ]);
    expect(changed.status).toBe(200);
    const tokens = signedIn.filter(({ status }) => status === 200).map(({ body }) => body.access_token);
    const alive = await Promise.all(tokens.map((token) => nobody.withToken(token).get('/auth/me')));
    expect(alive.map(({ status }) => status)).toEqual(tokens.map(() => 401));
  });

  it('wants a sound token of a user who is still there', async () => {
    const user = await server.newUser();
    expect(await nobody.get('/auth/me')).toMatchObject({ status: 401, body: { code: 'auth.required' } });
    const [header, claims, signature = ''] = user.token.split('.');
    const tampered = `${header}.${claims}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`;
    for (const token of [tampered, unsigned, 'nonsense']) {
      const answer = await nobody.withToken(token).get('/auth/me');
      expect(answer).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    await query(server.database.url, 'delete from users where id = $1', [user.userId]);
    expect(await user.get('/auth/me')).toMatchObject({ status: 401, body: { code: 'auth.user_gone' } });
    expect(await user.post('/boards', { name: 'mine' })).toMatchObject({
      status: 401,
      body: { code: 'auth.user_gone' },
    });
  });
});

describe('closed registration', () => {
  it('lets the first user in, and nobody else', async () => {
    const server = await TestServer.start({ AUTH_REGISTRATION: 'closed' });
    try {
      const nobody = new ApiClient(() => server.url);
      const register = (name: string) => nobody.post('/auth/register', account(name));
      const answers = await Promise.all(['one', 'two', 'three'].map(register));
      expect(statusesOf(answers)).toEqual([201, 403, 403]);
      const { status, body } = await register('late');
      expect([status, body.code]).toEqual([403, 'auth.registration_closed']);
    } finally {
      await server.dispose();
    }
  });
});
