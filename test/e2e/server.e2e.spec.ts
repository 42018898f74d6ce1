import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';
import { until } from '../support/until.js';

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start();
});

afterAll(() => server.dispose());

/** A raw answer: headers and bytes as they come. */
const raw = (path: string, options: RequestInit = {}) => fetch(`${server.url}${path}`, options);
const problem = async (answer: Response) => ({
  media_type: answer.headers.get('content-type'),
  ...((await answer.json()) as { status: number; code: string; instance: string; correlation_id: string }),
});

interface Operation {
  operationId?: string;
  summary?: string;
  security?: unknown[];
  responses: Record<string, { description?: string; content?: object }>;
}

interface ApiDocument {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { properties?: object }> };
}

describe('health', () => {
  it('is answered without a token', async () => {
    expect(await (await raw('/health/live')).json()).toEqual({ status: 'ok' });
    expect(await (await raw('/health/ready')).json()).toEqual({ status: 'ok', checks: { database: 'ok' } });
  });
});

describe('the API document', () => {
  const OPEN = new Set(['register', 'login', 'refreshTokens', 'logout']);

  it('describes every operation: id, summary, authentication, errors', async () => {
    const document = (await (await raw('/api/v1/openapi.json')).json()) as ApiDocument;
    expect(document.openapi).toMatch(/^3\./);
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    expect(operations.length).toBeGreaterThan(25);
    const ids = operations.map(({ operationId }) => operationId ?? '');
    expect(new Set(ids).size).toBe(operations.length);
    for (const { operationId = '', summary, security, responses } of operations) {
      expect(summary, operationId).toBeTruthy();
      expect(responses, operationId).toHaveProperty('500');
      expect(Boolean(security?.length), `${operationId} asks for a token`).toBe(!OPEN.has(operationId));
      expect(
        Object.keys(responses).some((status) => status.startsWith('2')),
        operationId,
      ).toBe(true);
      for (const [status, { description }] of Object.entries(responses))
        expect(description, `${operationId} ${status}`).toBeTruthy();
    }
  });

  it('knows the paths that clients rely on', async () => {
    const { paths, components } = (await (await raw('/api/v1/openapi.json')).json()) as ApiDocument;
    const methods = (path: string) => Object.keys(paths[path] ?? {}).toSorted();
    expect(methods('/api/v1/boards/{boardId}/tasks')).toEqual(['get', 'post']);
    expect(methods('/api/v1/tasks/{taskId}')).toEqual(['delete', 'get', 'put']);
    expect(methods('/api/v1/tasks/{taskId}/state')).toEqual(['patch']);
    expect(methods('/api/v1/orchestrator/tasks/{taskId}/start')).toEqual(['post']);
    expect(methods('/api/v1/orchestrator/tasks/{taskId}/artifacts/{artifactId}/download')).toEqual(['get']);
    // Only the built application has these: the compiler's plugin writes them.
    expect(Object.keys(components.schemas['Queue']?.properties ?? {}).toSorted()).toEqual(['tasks', 'total']);
  });

  it('is shown by Swagger UI', async () => {
    const page = await raw('/docs');
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('swagger-ui');
  });
});

describe('errors of the server itself', () => {
  it('are problem documents with a stable code and the correlation id', async () => {
    const answer = await raw('/api/v1/nothing/here?secret=1', { headers: { 'X-Correlation-Id': 'test-17' } });
    expect(answer.headers.get('x-correlation-id')).toBe('test-17');
    expect(await problem(answer)).toMatchObject({
      media_type: 'application/problem+json; charset=utf-8',
      type: 'urn:kandev:problem:route.not_found',
      status: 404,
      code: 'route.not_found',
      instance: '/api/v1/nothing/here',
      correlation_id: 'test-17',
    });
  });

  it('come for bodies that are no JSON, of another type, or too large', async () => {
    const post = (body: string, type = 'application/json') =>
      raw('/api/v1/auth/login', { method: 'POST', headers: { 'Content-Type': type }, body }).then(problem);
    expect(await post('{"email": ')).toMatchObject({ status: 400, code: 'request.malformed' });
    expect(await post('{"__proto__": {"admin": true}}')).toMatchObject({ status: 400 });
    expect(await post('<a/>', 'application/xml')).toMatchObject({
      status: 415,
      code: 'request.unsupported_media_type',
    });
    expect(await post(JSON.stringify({ email: 'x'.repeat(2_000_000) }))).toMatchObject({
      status: 413,
      code: 'request.too_large',
    });
  });

  it('come for addresses that can not be decoded', async () => {
    expect((await raw('/api/v1/tasks/%E0%A4%A')).status).toBe(400);
  });

  it('replace a correlation id that could forge log lines', async () => {
    const answer = await raw('/health/live', { headers: { 'X-Correlation-Id': 'a b"c' } });
    expect(answer.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('metrics', () => {
  it('tell how long requests take, by operation and status, and name nobody', async () => {
    const user = await server.newUser('counted');
    const board = await user.createBoard();
    expect((await user.get(`/boards/${board}`)).status).toBe(200);
    expect((await user.get('/nothing-here')).status).toBe(404);
    const answer = await raw('/metrics');
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    const name = 'kandev_http_request_duration_seconds_count';
    expect(text).toContain(`${name}{method="GET",route="/api/v1/boards/:boardId",status="200"}`);
    expect(text).toMatch(new RegExp(`${name}\\{method="GET",route="[^"]*",status="404"\\}`));
    expect(text).toContain('process_resident_memory_bytes');
    for (const secret of [board, user.userId, 'counted']) expect(text).not.toContain(secret);
  });
});

describe('the log', () => {
  const requests = () => {
    const lines = server.log.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map(
      (line) => JSON.parse(line) as { request_id?: string; req?: { path: string }; res?: { status: number } },
    );
  };

  it('is JSON, has the correlation id of each request, and no secret', async () => {
    const user = await server.newUser('logged');
    await raw(`/api/v1/auth/me?token=${user.token}`, {
      headers: { Authorization: `Bearer ${user.token}`, 'X-Correlation-Id': 'find-me' },
    });
    // The line is written when the answer is out, so it may come a moment after it.
    const entry = await until('the log line of the request', () =>
      requests().find(({ request_id }) => request_id === 'find-me'),
    );
    expect(entry).toMatchObject({ req: { path: '/api/v1/auth/me' }, res: { status: 200 } });
    expect(server.log).not.toContain(user.token);
    expect(server.log).not.toContain('correct horse battery staple');
  });
});
