import { randomInt } from 'node:crypto';
import fc, { type Arbitrary } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsOf } from '../support/answers.js';
import { validField, validValue, type Hints } from '../support/api-arbitraries.js';
import { mutatedBody, mutatedQuery, wrongHeaders, wrongId } from '../support/api-mutations.js';
import { ApiWorld, WAITER } from '../support/api-world.js';
import { cellOf, pathOf } from '../support/matrix/cells.js';
import { MATRIX } from '../support/matrix/index.js';
import type { Ask } from '../support/matrix/row.js';
import { OpenApi, type Operation, type Schema } from '../support/openapi.js';
import type { RawAnswer } from '../support/raw-http.js';

const SEED = Number(process.env['KANDEV_TEST_SEED'] ?? randomInt(2 ** 31));
/** Requests to each operation. */
const RUNS = Number(process.env['KANDEV_TEST_RUNS'] ?? 60);
/** They hash passwords, some 50 ms each. */
const SLOW = new Set(['register', 'login', 'refreshTokens', 'logout', 'changePassword']);

const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);

/** Fields whose rules the document can't tell. */
const hints = (): Hints => ({
  agent_type: fc.constant(WAITER),
  repository_url: fc.constantFrom('https://git.example.com/a.git', 'ssh://git@git.example.com/a.git'),
  branch: fc.constantFrom('main', 'feature/x'),
  depends_on: fc.constantFrom([], [world.own.finished.task]),
  expires_at: fc.integer({ min: 1, max: 1000 }).map((days) => new Date(Date.now() + days * 86_400_000).toISOString()),
  docker_image: fc.constantFrom('kandev/demo-agent', 'registry.example.com:5000/team/agent'),
  docker_tag: fc.constantFrom('latest', `sha256:${'0a'.repeat(32)}`),
  network: fc.constantFrom('none', 'isolated', 'open'), // `allowlist` wants a list as well
  allowed_hosts: fc.constantFrom([], ['example.com', '*.example.com:8443'], ['192.0.2.1', '[2001:db8::1]:443']),
  cpu_limit: fc.constantFrom('0.5', '2.0'),
  memory_limit: fc.constantFrom('512m', '1.5g'),
  disk_limit: fc.constantFrom('512M', '10g'),
  auto_start: fc.constant(false), // true wants an agent type
  // A full column would be in the way of what the other operations are asked for.
  TODO: fc.constantFrom(null, 100_000),
  IN_PROGRESS: fc.constantFrom(null, 100_000),
  BLOCKED: fc.constantFrom(null, 100_000),
  attachments: fc.constantFrom([], [{ name: 'a.md', path: 'docs/a.md' }]),
  permission_rules: fc.constantFrom([], [{ decision: 'allow', tool_kinds: ['edit'], paths: ['src/**'] }]),
  login: fc.constantFrom('stranger', 'Stranger@Example.com'),
  // Of usage: not the wrong way round, and today whatever is left out.
  from: fc.integer({ min: 10, max: 300 }).map(daysAgo),
  to: fc.integer({ min: 0, max: 9 }).map(daysAgo),
});
/** Fields of a valid body that must be the ones of the matrix: they name what is there, or must be new. */
const PINNED: Readonly<Record<string, readonly string[]>> = {
  register: ['email', 'username'],
  login: ['email', 'username', 'password'],
  refreshTokens: ['refresh_token'],
  logout: ['refresh_token'],
  changePassword: ['current_password', 'new_password'],
  triggerRun: ['task_id'],
  bulkTasks: ['action', 'task_ids', 'state'],
  redriveDeadLetters: ['ids', 'filter', 'cursor'], // one of the first two, not both
  answerApproval: ['option_id'],
  // At least one limit.
  setBoardBudget: ['messages'],
  setTaskBudget: ['messages'],
  setAgentTypeBudget: ['messages'],
};
/** What a valid request may get besides success, by the state of things. */
const ALSO: Readonly<Record<string, readonly number[]>> = {
  updateTaskState: [409],
  createAgentType: [409],
  updateUser: [409],
  sendInput: [409, 413], // agents of these tests read nothing: what they are sent fills their pipe
  streamTask: [401, 404, 409], // tickets, runs and finished runs that there are not
  getUsage: [404], // boards and tasks that there are not
  downloadMessages: [404], // runs that there are not
  streamAll: [401],
};

/** A request, as far as it is not the valid one of the matrix. */
interface Variation {
  who: 'admin' | 'owner';
  body?: { valid: boolean; value?: unknown; text?: string | Buffer };
  id?: { at: number; text: string };
  query?: string;
  headers?: Record<string, string>;
}

let world: ApiWorld;
let api: OpenApi;
const counts = { requests: 0, accepted: 0 };

beforeAll(async () => {
  world = await ApiWorld.open();
  api = await OpenApi.of(world.server.url);
});

afterAll(async () => {
  console.info(`API properties: seed ${SEED}, ${counts.requests} requests, ${counts.accepted} carried out`);
  await world.dispose();
});

function variations(operation: Operation): Arbitrary<Variation> {
  const who = fc.constantFrom('admin' as const, 'owner' as const);
  const schema = operation.body;
  const value = schema ? validValue(api, schema, hints()) : fc.constant(undefined);
  const names = operation.parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
  const query = validQuery(operation);
  const valid = fc.record({ who, body: value.map((body) => ({ valid: true, value: body })), query });
  const wrongs: Arbitrary<Variation>[] = [
    fc.record({ who, query: mutatedQuery(names) }),
    fc.record({ who, headers: wrongHeaders }),
  ];
  if (schema) {
    const body = mutatedBody(value).map((text) => ({ valid: false, text }));
    wrongs.push(fc.record({ who, body }), fc.record({ who, body }), fc.record({ who, body }));
  }
  if (operation.path.includes('{')) wrongs.push(fc.record({ who, id: fc.record({ at: fc.nat(3), text: wrongId }) }));
  return fc.oneof({ weight: 1, arbitrary: valid }, { weight: 2, arbitrary: fc.oneof(...wrongs) });
}

/** Parameters as the document wants them; a cursor is of an earlier page, so none is made up. */
function validQuery({ parameters }: Operation): Arbitrary<string> {
  const given = parameters.filter((parameter) => parameter.in === 'query' && parameter.name !== 'cursor');
  const fields = given.map(({ name, schema }): [string, Arbitrary<unknown>] => [
    name,
    validField(api, name, schema, hints()),
  ]);
  const requiredKeys = given.filter(({ required }) => required).map(({ name }) => name);
  const record = fc.record(Object.fromEntries(fields), { requiredKeys });
  return record.map((values) => {
    // A query can't tell an empty list from none.
    const shown = Object.entries(values).filter(
      ([, value]) => value !== null && !(Array.isArray(value) && !value.length),
    );
    const text = (value: unknown) => (Array.isArray(value) ? value.join(',') : String(value));
    return new URLSearchParams(shown.map(([name, value]): [string, string] => [name, text(value)])).toString();
  });
}

/** Ids of another kind, upper case or no id at all. */
function withId(ask: Ask, { at, text }: { at: number; text: string }): Ask {
  const names = Object.keys(ask.ids ?? {});
  const name = names[at % names.length] ?? '';
  return { ...ask, ids: { ...ask.ids, [name]: at === 3 ? (ask.ids?.[name] ?? '').toUpperCase() : text } };
}

function bodyOf(operation: Operation, ask: Ask, { body }: Variation): string | Buffer | undefined {
  if (!operation.body) return undefined;
  if (body === undefined) return ask.body && JSON.stringify(ask.body);
  if (body.text !== undefined) return body.text;
  const given = (ask.body ?? {}) as Record<string, unknown>;
  const pinned = PINNED[operation.operationId] ?? [];
  const rest = Object.entries(body.value as object).filter(([name]) => !pinned.includes(name));
  const kept = pinned.filter((name) => name in given).map((name) => [name, given[name]]);
  return JSON.stringify(Object.fromEntries([...rest, ...kept]));
}

/** Whether the document allows the body that is sent, as far as it is JSON at all. */
function isAllowedBody(operation: Operation, body: string | Buffer | undefined): boolean {
  if (body === undefined) return true;
  const text = body.toString().replace(/^\ufeff/, '');
  try {
    return api.allows(operation, JSON.parse(text === '' ? '{}' : text));
  } catch {
    return false;
  }
}

async function request(operation: Operation, variation: Variation): Promise<{ answer: RawAnswer; faults: string[] }> {
  const row = MATRIX[operation.operationId]!;
  const may = row.access(variation.who, 'own') === 'ok';
  const cell = { ...cellOf(world, row, variation.who, 'own'), allowed: true };
  const { query, ...plain } = (await row.ask?.(cell)) ?? {};
  const ask = variation.id ? withId(plain, variation.id) : plain;
  const body = bodyOf(operation, ask, variation);
  const search = variation.query ?? new URLSearchParams(query).toString();
  const path = pathOf(operation, ask) + (search ? `?${search}` : '');
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await world.http.send({
    ...{ method: operation.method, path, token: world.token(variation.who), body },
    headers: { ...type, ...variation.headers },
  });
  world.keepSecrets(answer.json);
  const isDone = answer.status < 300;
  counts.requests++;
  counts.accepted += Number(isDone);
  // What came of a body that was changed at random is not what the row looks for.
  if (isDone && variation.body?.valid !== false) await row.after?.(cell, answer.json);
  const faults = faultsOf(api, operation, answer, {
    valid: variation.body?.valid === true && may,
    also: [row.ok, ...(ALSO[operation.operationId] ?? [])],
    astray: variation.id !== undefined,
  });
  if (isDone && row.ok !== 501 && !isAllowedBody(operation, body))
    faults.push('carried out, but not as the document allows it');
  return { answer, faults };
}

describe('the document', () => {
  it('is taken at its word: a field that it does not name is seen, and a time of another form', async () => {
    const { task } = world.own;
    const operation = api.operation('getTask');
    const { json } = await world.ask({ method: 'GET', path: `/api/v1/tasks/${task}`, token: world.token('owner') });
    const faults = (change: object) =>
      api.problemsOf(operation, 200, 'application/json', { ...(json as object), ...change });
    expect(faults({})).toEqual([]);
    expect(faults({ secret: 1 })).toEqual(['/ must NOT have additional properties (secret)']);
    expect(faults({ created_at: '2026-01-09T10:00:00Z' })).toEqual(['/created_at must match format "date-time"']);
    expect(faults({ id: task.toUpperCase() })).toEqual(['/id must match format "uuid"']);
    expect(faults({ state: 'DONE' })).toHaveLength(1);
    expect(faults({ version: undefined })).toHaveLength(1);
  });

  const properties = () =>
    Object.entries(api.document.components.schemas).flatMap(([name, schema]) =>
      Object.entries(schema.properties ?? {}).map(([field, of]) => ({ field: `${name}.${field}`, schema: of })),
    );
  const isOf =
    (format: string) =>
    (schema: Schema): boolean => {
      const { items, anyOf, format: own } = api.resolve(schema);
      return own === format || [items, ...(anyOf ?? [])].some((part) => part && isOf(format)(part));
    };

  it('says of each time that it is one', () => {
    const times = properties().filter(({ field }) =>
      /(_at|\.timestamp|\.since|\.estimated_\w+|_heartbeat)$/.test(field),
    );
    expect(times.length).toBeGreaterThan(20);
    expect(times.filter(({ schema }) => !isOf('date-time')(schema)).map(({ field }) => field)).toEqual([]);
  });

  it('says of each id that it is one', () => {
    const ids = properties().filter(({ field }) => /(\.id|_ids?|_by)$/.test(field));
    const others =
      /^(TaskEvent\.id|Frame\.id|ProbedAuthMethod\.id|\w+\.(container|image|correlation|request|option|mode)_id)$/;
    expect(ids.length).toBeGreaterThan(20);
    const unsaid = ids.filter(({ field, schema }) => !others.test(field) && !isOf('uuid')(schema));
    expect(unsaid.map(({ field }) => field)).toEqual([]);
  });
});

describe(`whatever is sent (KANDEV_TEST_SEED=${SEED})`, () => {
  it.each(Object.keys(MATRIX))('to %s is answered as the document says', { timeout: 120_000 }, async (id) => {
    const operation = api.operation(id);
    const property = fc.asyncProperty(variations(operation), async (variation) => {
      const { answer, faults } = await request(operation, variation);
      const told = `${faults.join('; ')}\n${answer.status} ${answer.media} ${answer.text.slice(0, 1500)}`;
      if (faults.length > 0) throw new Error(told);
    });
    const details = await fc.check(property, { seed: SEED, numRuns: SLOW.has(id) ? Math.ceil(RUNS / 5) : RUNS });
    if (!details.failed) return;
    const sent = fc.stringify(details.counterexample?.[0]).slice(0, 600);
    expect.fail(`${operation.method} ${operation.path} with ${sent}: ${String(details.errorInstance)}`);
  });

  it('leaves the server as it was', async () => {
    expect((await world.ask({ method: 'GET', path: '/health/ready' })).status).toBe(200);
    for (const side of ['own', 'foreign'] as const) {
      const { task, key } = world.place(side);
      const { json } = await world.ask({ method: 'GET', path: `/api/v1/tasks/${task}`, token: world.token('admin') });
      expect(json).toMatchObject({ id: task, state: 'IN_PROGRESS' });
      expect(key).toBeTruthy();
    }
  });

  it('puts no secret into the log', () => {
    const { log } = world.server;
    expect([...world.secrets].filter((secret) => log.includes(secret))).toEqual([]);
  });
});
