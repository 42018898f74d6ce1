import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, type ProblemBody } from '../support/api-client.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';

const PAGE = 'https://board.example.com';
const MIB = 1024 * 1024;

let server: TestServer;
let user: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ CORS_ORIGINS: `${PAGE}, http://localhost:3000` });
  user = await server.newUser();
});

afterAll(() => server.dispose());

/** What the server sends to these bytes until it closes the connection. */
async function raw(
  bytes: string | Buffer,
  { end = true } = {},
): Promise<{ status: number; head: string; body: string }> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => undefined); // it may hang up while we still send
    socket.on('close', () => resolve());
    socket.write(bytes);
    if (end) socket.end();
  });
  const [head = '', ...body] = Buffer.concat(chunks).toString().split('\r\n\r\n');
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head, body: body.join('\r\n\r\n') };
}

const request = (line: string, headers: string[] = [], body: string | Buffer = '') =>
  Buffer.concat([
    Buffer.from([`${line} HTTP/1.1`, 'Host: kandev', 'Connection: close', ...headers, '', ''].join('\r\n'), 'latin1'),
    Buffer.from(body),
  ]);

const authorized = () => `Authorization: Bearer ${user.token}`;

describe('headers of answers', () => {
  it.each(['/api/v1/auth/me', '/api/v1/nowhere', '/health/live', '/api/v1/boards/%zz'])(
    '%s is nothing to keep, frame or guess at',
    async (path) => {
      const { headers } = await fetch(server.url + path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
      expect(headers.get('x-correlation-id')).toBeTruthy();
      expect(headers.get('access-control-allow-origin')).toBeNull();
    },
  );

  it('of the pages at /docs let them work', async () => {
    const answer = await fetch(`${server.url}/docs`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/);
    expect(answer.headers.get('content-security-policy')).toContain("script-src 'self'");
  });
});

describe('pages of other origins', () => {
  const ask = (origin: string, path = '/api/v1/auth/me') =>
    fetch(server.url + path, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization' },
    });

  it('may use the API when they are configured', async () => {
    const preflight = await ask(PAGE);
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(PAGE);
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH');
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Idempotency-Key');
    expect(preflight.headers.get('access-control-max-age')).toBe('7200');
    const answer = await user.get('/auth/me', { origin: PAGE });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBe(PAGE);
    expect(answer.headers.get('access-control-expose-headers')).toContain('ETag');
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    expect(answer.headers.get('vary')).toMatch(/origin/i);
    const refused = await fetch(`${server.url}/api/v1/auth/me`, { headers: { origin: PAGE } });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('access-control-allow-origin')).toBe(PAGE); // else the page could not read the problem
  });

  it.each(['https://evil.example.com', 'https://board.example.com.evil.net', 'null', 'http://board.example.com'])(
    '%s may not',
    async (origin) => {
      expect((await ask(origin)).headers.get('access-control-allow-origin')).toBeNull();
      const answer = await user.get('/auth/me', { origin });
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    },
  );
});

describe('bodies', () => {
  const post = (body: string | Buffer, type = 'application/json') =>
    fetch(`${server.url}/api/v1/boards`, {
      method: 'POST',
      headers: { 'content-type': type, authorization: `Bearer ${user.token}` },
      body,
    }).then(async (answer) => ({ status: answer.status, body: (await answer.json()) as ProblemBody }));

  it('takes NDJSON where an operation asks for it alone, at once however long it is', async () => {
    for (const path of ['/auth/login', '/boards']) {
      const answer = await user.post(path, 'a'.repeat(1_000_000), { 'content-type': 'application/x-ndjson' });
      expect(answer).toMatchObject({ status: 415, body: { code: 'request.unsupported_media_type' } });
    }
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
    'x',
    '*/*',
  ])('of type %s are 415', async (type) => {
    expect(await post('{"name": "x"}', type)).toMatchObject({
      status: 415,
      body: { code: 'request.unsupported_media_type' },
    });
  });

  it.each([
    ['deep arrays', '['.repeat(MIB)],
    ['deep objects', '{"a":'.repeat(MIB / 5)],
    ['a deep field', `{"name": "x", "description": ${'['.repeat(500_000)}${']'.repeat(500_000)}}`],
    ['many elements', `[${'1,'.repeat(MIB / 2 - 2)}1]`],
    ['many keys', `{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join()}}`],
    ['a key twice', '{"name": "x", "name": "y"}'],
    ['__proto__', '{"name": "x", "__proto__": {"role": "admin"}}'],
    ['__proto__ in escapes', '{"name": "x", "\\u005f_proto__": {"role": "admin"}}'],
    ['constructor.prototype', '{"name": "x", "constructor": {"prototype": {"role": "admin"}}}'],
  ])('with %s are refused at once', async (_, body) => {
    const started = performance.now();
    expect(await post(body)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it.each([
    ['no JSON', '{"name": '],
    ['another encoding', Buffer.from([...Buffer.from('{"name": "'), 0xff, 0xfe, ...Buffer.from('"}')])],
    ['a byte order mark', '\ufeff{"name": "x"}'],
    ['quotes without end', '"'.repeat(MIB - 1)],
    ['backslashes without end', `"${'\\'.repeat(MIB - 2)}`],
  ])('with %s are malformed', async (_, body) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { code: 'request.malformed' } });
  });

  it.each([
    ['an array', '[]'],
    ['null', 'null'],
    ['a text', '"x"'],
    ['nothing', ''],
  ])('that are %s are invalid', async (_, body) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it('above 1 MiB are 413, also when they do not say so', async () => {
    expect(await post('x'.repeat(MIB + 1))).toMatchObject({ status: 413, body: { code: 'request.too_large' } });
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const headers = [authorized(), 'Content-Type: application/json', 'Transfer-Encoding: chunked'];
    const { status } = await raw(request('POST /api/v1/boards', headers, `${chunk.repeat(20)}0\r\n\r\n`));
    expect(status).toBe(413);
  });

  it('that are much too large are refused when they are there: the answer is not lost with the connection', async () => {
    const large = Buffer.alloc(16 * MIB, 'x');
    for (let n = 0; n < 10; n++) expect((await post(large)).status).toBe(413);
  });
});

describe('what is hardly HTTP', () => {
  const JSON_TYPE = 'Content-Type: application/json';

  it.each<[string, Buffer | string]>([
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['an unknown method', request('BREW /api/v1/boards')],
    ['a method of others', request('PROPFIND /api/v1/boards')],
    ['TRACE', request('TRACE /api/v1/boards')],
    ['no path', request('GET *')],
    ['a broken escape', request('GET /api/v1/tasks/%zz')],
    ['half an escape', request('GET /api/v1/tasks/%')],
    ['UTF-8 that is none', request('GET /api/v1/tasks/%ff%fe')],
    ['a lone surrogate', request('GET /api/v1/tasks/%ed%a0%80')],
    ['NUL in the path', request('GET /api/v1/tasks/%00')],
    ['NUL byte in the path', request('GET /api/v1/tasks/\0')],
    ['raw bytes in the path', request('GET /api/v1/tasks/\xff\xfe')],
    ['a path upwards', request('GET /api/v1/../../etc/passwd')],
    ['an absolute path', request('GET http://other/api/v1/boards/x')],
    ['a long path', request(`GET /api/v1/tasks/${'x'.repeat(5_000)}`)],
    ['a path beyond the limit', request(`GET /api/v1/${'x'.repeat(20_000)}`)],
    ['a header beyond the limit', request('GET /api/v1/boards', [`X-Long: ${'x'.repeat(20_000)}`])],
    [
      'many headers',
      request(
        'GET /api/v1/boards',
        Array.from({ length: 3_000 }, (_, i) => `X-${i}: 1`),
      ),
    ],
    ['a NUL in a header', request('GET /api/v1/boards', ['X-Nul: a\0b'])],
    ['two lengths', request('POST /api/v1/boards', [JSON_TYPE, 'Content-Length: 2', 'Content-Length: 3'], '{}')],
    ['a negative length', request('POST /api/v1/boards', [JSON_TYPE, 'Content-Length: -1'], '{}')],
    ['a length that is no number', request('POST /api/v1/boards', [JSON_TYPE, 'Content-Length: two'], '{}')],
    [
      'length and chunks',
      request('POST /api/v1/boards', [JSON_TYPE, 'Content-Length: 2', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    ],
    ['a chunk that lies', request('POST /api/v1/boards', [JSON_TYPE, 'Transfer-Encoding: chunked'], 'zz\r\n{}\r\n')],
    ['an unknown encoding', request('POST /api/v1/boards', [JSON_TYPE, 'Transfer-Encoding: gzip'], '{}')],
    ['a length without a body', request('POST /api/v1/boards', [JSON_TYPE, 'Content-Length: 10'], '{}')],
  ])('%s gets a problem, or no answer', async (_, bytes) => {
    // Signed in, where it is a request at all: so that it gets as far as it can.
    const text = Buffer.from(bytes).toString('latin1');
    const signedIn = text.replace('Connection: close', `Connection: close\r\n${authorized()}`);
    const { status, head, body } = await raw(Buffer.from(signedIn, 'latin1'));
    expect(head.toLowerCase()).not.toContain('text/html');
    if (head === '') return; // hung up
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(head).toMatch(/content-type: application\/problem\+json/i);
    expect(JSON.parse(body)).toMatchObject({ status, code: expect.stringMatching(/^[a-z_]+\.[a-z_]+$/) });
  });

  it('leaves the server well', async () => {
    expect((await user.get('/auth/me')).status).toBe(200);
    expect(server.log).not.toMatch(/"level":[56]0/);
  });
});

describe('queries', () => {
  it.each([
    'limit=1&limit=2',
    'limit[]=1',
    'limit[a]=1',
    'limit%5B__proto__%5D=1',
    '__proto__=1',
    '__proto__[x]=1',
    'constructor=1',
    'constructor.prototype=1',
    'limit=%00',
    'limit=%zz',
    'cursor=%ff',
    'nothing=1',
    Array.from({ length: 1_500 }, (_, i) => `a${i}=1`).join('&'),
  ])('%s is 400', async (query) => {
    const { status, body } = await user.get(`/boards?${query}`);
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'request.invalid' });
  });
});

describe('limits', () => {
  let limited: TestServer;
  let second: TestServer;

  beforeAll(async () => {
    const JWT_SECRET = 'c2e5a86b1f0d4937a1e6d0b89c3f5274';
    const env = { JWT_SECRET, RATE_LIMIT_STORAGE: 'postgres', TRUSTED_PROXIES: '1' };
    const limits = { RATE_LIMIT_PER_MINUTE: '5', RATE_LIMIT_ANONYMOUS_PER_MINUTE: '3' };
    limited = await TestServer.start({ ...env, ...limits });
    second = await TestServer.start({ ...env, ...limits, DATABASE_URL: limited.database.url });
  });

  afterAll(() => Promise.all([limited.dispose(), second.dispose()]));

  const from = (address: string) => ({ 'x-forwarded-for': address });
  const register = async (name: string, address: string) => {
    const account = { email: `${name}@example.com`, username: name, password: 'correct horse battery staple' };
    const { body } = await new ApiClient(() => limited.url).post<{ access_token: string }>(
      ...(['/auth/register', account, from(address)] as const),
    );
    return {
      first: new ApiClient(() => limited.url).withToken(body.access_token),
      second: new ApiClient(() => second.url).withToken(body.access_token),
    };
  };

  it('count a user wherever they come from, at all servers together, and nobody else', async () => {
    const ann = await register('ann', '10.0.0.1');
    const bob = await register('bob', '10.0.0.2');
    const statuses = [];
    for (let i = 0; i < 6; i++) {
      const answer = await (i % 2 ? ann.first : ann.second).get('/auth/me', from(`10.0.1.${i}`));
      statuses.push(answer.status);
      expect(answer.headers.get('ratelimit-limit')).toBe('5');
      expect(answer.headers.get('ratelimit-remaining')).toBe(String(Math.max(0, 4 - i)));
      expect(Number(answer.headers.get('ratelimit-reset'))).toBeGreaterThan(0);
      if (answer.status !== 429) continue;
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(answer.body).toMatchObject({ code: 'request.too_many', status: 429 });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
    expect((await bob.first.get('/auth/me', from('10.0.1.0'))).status).toBe(200);
  });

  it.each([
    ['/auth/me', 401],
    ['/nowhere', 404],
  ])('count failures without a sign-in against the address: %s', async (path, status) => {
    const address = `10.0.2.${status % 100}`;
    const nobody = new ApiClient(() => limited.url).withToken('kandev_guess');
    for (let i = 0; i < 3; i++) expect((await nobody.get(path, from(address))).status).toBe(status);
    const refused = await nobody.get(path, from(address));
    expect(refused).toMatchObject({ status: 429, body: { code: 'request.too_many' } });
    expect(refused.headers.get('ratelimit-limit')).toBe('3');
    const login = await nobody.post('/auth/login', { username: 'x', password: 'y' }, from(address));
    expect(login.status).toBe(429);
    expect((await nobody.get(path, from('10.0.3.1'))).status).not.toBe(429);
  });

  it('leave those with a sign-in alone at an address of guessers', async () => {
    const cat = await register('cat', '10.0.4.1');
    const nobody = new ApiClient(() => limited.url);
    for (let i = 0; i < 4; i++) await nobody.get('/auth/me', from('10.0.4.2'));
    expect((await nobody.get('/auth/me', from('10.0.4.2'))).status).toBe(429);
    expect((await cat.first.get('/auth/me', from('10.0.4.2'))).status).toBe(200);
  });

  it('believe one proxy and no more', async () => {
    const nobody = new ApiClient(() => limited.url);
    for (let i = 0; i < 4; i++) await nobody.get('/auth/me', from(`1.2.3.${i}, 10.0.5.1`));
    expect((await nobody.get('/auth/me', from('1.2.3.9, 10.0.5.1'))).status).toBe(429);
  });

  it('take an IPv6 address by its /64', async () => {
    const nobody = new ApiClient(() => limited.url);
    for (let i = 0; i < 3; i++) await nobody.get('/auth/me', from(`2001:db8:1:1::${i}`));
    expect((await nobody.get('/auth/me', from('2001:db8:1:1:ffff::1'))).status).toBe(429);
    expect((await nobody.get('/auth/me', from('2001:db8:1:2::1'))).status).toBe(401);
  });

  it('are not for health checks and documents', async () => {
    for (const path of ['/health/live', '/docs', '/api/v1/openapi.json']) {
      const answers = await Promise.all([1, 2, 3, 4, 5].map(() => fetch(limited.url + path)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
      expect(answers[0]?.headers.get('ratelimit-limit')).toBeNull();
    }
  });
});
