/**
 * What the API is measured against: Fastify and pg with nothing between them, sending statement by statement what the
 * server itself was seen to send, and answering with the rows. Under `/raw` for everyone, under `/jwt` for holders of an
 * access token. Started by the bench with a file of recipes; see `RawSettings`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { JwtService } from '@nestjs/jwt';
import { fastify } from 'fastify';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import type { Recipe, RecipeStep, Source } from './recipe.js';

export interface RawSettings {
  database_url: string;
  pool_size: number;
  jwt_secret: string;
  /** Where to write `{url, pid}` once it listens. */
  address_file: string;
  recipes: { get: Recipe; list: Recipe; create: Recipe };
}

type Input = Record<string, unknown>;
type Row = Record<string, unknown>;
type Rows = pg.QueryResult<Row>;

const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as RawSettings;
pg.types.setTypeParser(pg.types.builtins.INT8, Number); // as the server does
const pool = new pg.Pool({ connectionString: settings.database_url, max: settings.pool_size, application_name: 'raw' });
const jwt = new JwtService({});

async function verify(request: { headers: { authorization?: string } }): Promise<void> {
  await jwt.verifyAsync(request.headers.authorization?.slice('Bearer '.length) ?? '', {
    secret: settings.jwt_secret,
    algorithms: ['HS256'],
  });
}

/** A recipe's parameter for this request. */
function bind(source: Source, input: Input, ids: string[]): unknown {
  if (source.from === 'constant') return source.value;
  if (source.from === 'input') return input[source.name];
  if (source.from === 'new_id') return (ids[source.number] ??= uuidv7());
  return new Date().toISOString();
}

function send(client: pg.Pool | pg.PoolClient, step: RecipeStep, input: Input, ids: string[]): Promise<Rows> {
  if (step.parameters.length === 0) return client.query<Row>(step.text);
  const parameters = step.parameters.map((source) => bind(source, input, ids));
  return client.query<Row>(step.text, parameters);
}

/** The first statement decides about access; the others are sent together, each on a connection of its own. */
async function read({ steps: [access, ...others] }: Recipe, input: Input): Promise<Rows[]> {
  if (!access) return [];
  const allowed = await send(pool, access, input, []);
  return [allowed, ...(await Promise.all(others.map((step) => send(pool, step, input, []))))];
}

async function write({ steps }: Recipe, input: Input): Promise<{ ids: string[]; results: Rows[] }> {
  const client = await pool.connect();
  const [ids, results]: [string[], Rows[]] = [[], []];
  try {
    for (const step of steps) results.push(await send(client, step, input, ids));
    return { ids, results };
  } finally {
    client.release();
  }
}

const app = fastify();
for (const [prefix, options] of [
  ['/raw', {}],
  ['/jwt', { preHandler: verify }],
] as const) {
  app.get<{ Params: { id: string } }>(`${prefix}/tasks/:id`, options, async (request, reply) => {
    const row = (await read(settings.recipes.get, { id: request.params.id })).at(-1)?.rows[0];
    return row ?? reply.code(404).send({});
  });

  app.get<{ Params: { id: string } }>(`${prefix}/boards/:id/tasks`, options, async (request) => {
    const results = await read(settings.recipes.list, { id: request.params.id });
    const page = results.reduce((longest, result) => (result.rows.length > longest.rows.length ? result : longest));
    const counted = results.findLast((result) => result !== page && result.rows.length === 1);
    const total = (counted ?? page).rows[0]?.['total'];
    return { tasks: page.rows.slice(0, 50), total, next_cursor: page.rows.length > 50 ? page.rows[49]?.['id'] : null };
  });

  app.post<{ Params: { id: string }; Body: Input }>(`${prefix}/boards/:id/tasks`, options, async (request, reply) => {
    const { ids, results } = await write(settings.recipes.create, { ...request.body, id: request.params.id });
    const returned = results.find(({ rows, command }) => command === 'INSERT' && rows.length > 0)?.rows[0];
    return reply.code(201).send({ ...request.body, board_id: request.params.id, id: ids[0], ...returned });
  });
}
await app.listen({ host: '127.0.0.1', port: 0 });
const { port } = app.server.address() as AddressInfo;
writeFileSync(settings.address_file, JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid }));
process.on('SIGTERM', () => process.exit(0));
