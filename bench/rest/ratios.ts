import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { API, createBoard, register, type BenchUser } from '../lib/api.js';
import { ROOT } from '../lib/build.js';
import { ChildServer } from '../lib/child-server.js';
import { load } from '../lib/load.js';
import { cpuMs } from '../lib/process-stats.js';
import { startProfile, timeByPackage } from '../lib/profiler.js';
import { step } from '../lib/progress.js';
import { median, percentile, sum } from '../lib/statistics.js';
import { figure, markdownTable, verdict } from '../lib/table.js';
import { addressOf, NODE_FLAGS, POOL_SIZE, type World } from '../lib/world.js';
import { fillBoard, settle } from './fill-board.js';
import { observe, operations, requestOf, type Operation, type OperationName } from './operations.js';
import type { RawSettings } from './raw-server.js';
import { difference, type Recipe } from './recipe.js';
import type { PartResult, RestOptions } from './suite.js';

const TASKS = 1000;
const CONNECTIONS = 8; // enough to keep a server busy while the database works, few enough not to measure a queue
/** 200 ticks of processor time, so that one more or less is half a percent; on a busy machine at least so many requests. */
const ROUND = { seconds: 2, at_least: 1000 };
/** Until V8 has compiled what is hot: by requests, because a starved server gets nowhere in any time. */
const WARM_UP = { seconds: 4, at_least: 5000 };
const OUTBOX_LIMIT_MS = 20_000;
const PROFILED = { seconds: 5, at_least: 1000 };
const LEAST_SHARE = 0.01; // of an operation, to be worth a line in the breakdown
const RAW_DATABASE = 'raw';

/** One server, or one way into it. */
interface Side {
  name: 'kandev' | 'raw' | 'jwt';
  server: ChildServer;
  prefix: string;
  database: string;
}

interface Round {
  /** Microseconds of the server's processor time a request, its work in the background after it included. */
  cpu: number;
  p50: number;
  p99: number;
  throughput: number;
}

/** What three operations cost against the same SQL without anything around it. */
export async function ratios(world: World, { rounds, profiles }: RestOptions): Promise<PartResult> {
  step('ratios: starting the server, filling a board');
  let kandev = await world.startKandev();
  await register(kandev.url, 'admin');
  const user = await register(kandev.url, 'owner'); // no administrator: those pass every access check
  const [listed, filled] = [
    await createBoard(kandev.url, user, 'Listed'),
    await createBoard(kandev.url, user, 'Filled'),
  ];
  await fillBoard(world.database(), { board_id: listed, user_id: user.id, count: TASKS });
  await settle(world.database());
  const sql = 'select id from tasks where board_id = $1 and archived_at is null order by id';
  const { rows } = await world.database().query<{ id: string }>(sql, [listed]);
  const list = operations(
    rows.map(({ id }) => id),
    listed,
    filled,
  );
  step('ratios: looking at the statements of each operation');
  const recipes = await observe(world, list, { url: kandev.url, prefix: API, user });
  await kandev.stop();
  await world.copyDatabase('kandev', RAW_DATABASE); // the server would deliver the events that the raw one writes
  kandev = await world.startKandev();
  const raw = await startRaw(world, recipes);
  const seen = await observe(world, list, { url: raw.url, prefix: '/raw', user });
  for (const { name, title } of list) {
    const problem = difference(recipes[name], seen[name]);
    if (problem !== null) throw new Error(`${title}: the raw server does not do the same SQL:\n${problem}`);
  }
  const sides: Side[] = [
    { name: 'kandev', server: kandev, prefix: API, database: 'kandev' },
    { name: 'raw', server: raw, prefix: '/raw', database: RAW_DATABASE },
    { name: 'jwt', server: raw, prefix: '/jwt', database: RAW_DATABASE },
  ];
  const measured = await measure(world, list, { sides, user, rounds });
  await Promise.all([kandev.stop(), raw.stop()]);
  const profile = await profileAll(world, list, { user, directory: profiles });
  return report(list, measured, { recipes, profile });
}

async function startRaw(world: World, recipes: Record<OperationName, Recipe>): Promise<ChildServer> {
  const address_file = join(world.directory, 'raw.json');
  const settings: RawSettings = {
    database_url: world.databaseUrl(RAW_DATABASE),
    pool_size: POOL_SIZE,
    jwt_secret: world.jwt_secret,
    address_file,
    recipes,
  };
  const file = join(world.directory, 'raw-settings.json');
  writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
  const program = ['--import', join(ROOT, 'bench/lib/ts-imports.mjs'), join(ROOT, 'bench/rest/raw-server.ts'), file];
  return ChildServer.start({
    args: [...NODE_FLAGS, ...program],
    env: { NODE_ENV: 'production' },
    logFile: join(world.directory, 'raw.log'),
    listening: (pid) => addressOf(address_file, pid),
  });
}

type Measured = Record<OperationName, Record<Side['name'], Round[]>>;

/** Rounds of all sides in turn, each time in another order: what else the machine does meets all of them alike. */
async function measure(
  world: World,
  list: readonly Operation[],
  { sides, user, rounds }: { sides: Side[]; user: BenchUser; rounds: number },
): Promise<Measured> {
  const measured = {} as Measured;
  for (const operation of list) {
    measured[operation.name] = { kandev: [], raw: [], jwt: [] };
    step(`ratios: ${operation.title}: warming up`);
    for (const side of sides) await oneRound(world, operation, side, { user, ...WARM_UP });
    for (let round = 1; round <= rounds; round++) {
      for (const side of round % 2 ? sides : sides.toReversed())
        measured[operation.name][side.name].push(await oneRound(world, operation, side, { user, ...ROUND }));
      const { kandev, raw } = measured[operation.name];
      const ratio = (kandev.at(-1)?.cpu ?? 0) / (raw.at(-1)?.cpu ?? 0);
      step(`ratios: ${operation.title}: round ${round} of ${rounds}, CPU ${figure(ratio)} times raw`);
    }
  }
  return measured;
}

async function oneRound(
  world: World,
  operation: Operation,
  { server, prefix, database }: Side,
  { user, ...length }: { user: BenchUser; seconds: number; at_least: number },
): Promise<Round> {
  const before = cpuMs(server.pid);
  const result = await load({
    url: server.url,
    connections: CONNECTIONS,
    ...length,
    status: operation.status,
    request: (n) => requestOf(operation, n, prefix, user),
  });
  if (operation.writes !== undefined) await emptyOutbox(world, database);
  return {
    cpu: ((cpuMs(server.pid) - before) * 1000) / result.requests,
    p50: percentile(result.latencies, 0.5),
    p99: percentile(result.latencies, 0.99),
    throughput: result.requests / result.seconds,
  };
}

/** Waits until the server has delivered its events: that is part of what a write costs. Nobody delivers the raw ones. */
async function emptyOutbox(world: World, database: string): Promise<void> {
  const db = world.database(database);
  if (database === RAW_DATABASE) {
    await db.query('truncate outbox_events');
    return;
  }
  for (const deadline = Date.now() + OUTBOX_LIMIT_MS; ; await sleep(20)) {
    const { rows } = await db.query<{ n: number }>('select count(*)::int as n from outbox_events');
    if (rows[0]?.n === 0) return;
    if (Date.now() > deadline)
      throw new Error(`${rows[0]?.n} events are still undelivered ${OUTBOX_LIMIT_MS / 1000} s after the load`);
  }
}

type Profile = Record<OperationName, { packages: Map<string, number>; requests: number }>;

/** Where the server's time goes: another server, watched by V8's sampling profiler. */
async function profileAll(
  world: World,
  list: readonly Operation[],
  { user, directory }: { user: BenchUser; directory: string | undefined },
): Promise<Profile> {
  const server = await world.startKandev(['--inspect=127.0.0.1:0']);
  const inspector = /ws:\/\/127\.0\.0\.1:\d+\/\S+/.exec(server.log.slice(-100_000))?.[0] ?? '';
  const result = {} as Profile;
  for (const operation of list) {
    step(`ratios: ${operation.title}: profile`);
    const side: Side = { name: 'kandev', server, prefix: API, database: 'kandev' };
    await oneRound(world, operation, side, { user, ...WARM_UP });
    const profiler = await startProfile(inspector);
    const { requests } = await load({
      ...{ url: server.url, connections: CONNECTIONS, ...PROFILED, status: operation.status },
      request: (n) => requestOf(operation, n, API, user),
    });
    if (operation.writes !== undefined) await emptyOutbox(world, 'kandev');
    const profile = await profiler.stop();
    if (directory !== undefined)
      writeFileSync(join(directory, `${operation.name}.cpuprofile`), JSON.stringify(profile));
    result[operation.name] = { packages: timeByPackage(profile), requests };
  }
  await server.stop();
  return result;
}

function report(
  list: readonly Operation[],
  measured: Measured,
  { recipes, profile }: { recipes: Record<OperationName, Recipe>; profile: Profile },
): PartResult {
  const rows: string[][] = [];
  const data: Record<string, unknown> = {};
  let passed = true;
  for (const { name, title, aim } of list) {
    const of = (side: Side['name'], key: keyof Round): number =>
      median(measured[name][side].map((round) => round[key]));
    const keys = ['cpu', 'p50', 'p99'] as const;
    for (const side of ['raw', 'jwt'] as const) {
      const over = Object.fromEntries(keys.map((key) => [key, of('kandev', key) / of(side, key)]));
      const verdictHere = side === 'raw' ? verdict(over['cpu'] ?? Number.NaN, aim) : '';
      if (verdictHere === 'MISS') passed = false;
      rows.push([
        side === 'raw' ? title : `${title}, raw with JWT`,
        side === 'raw' ? String(recipes[name].steps.length) : '',
        ...keys.map((key) => `${figure(of('kandev', key))} / ${figure(of(side, key))} = **${figure(over[key] ?? 0)}**`),
        `${figure(of('kandev', 'throughput'))} / ${figure(of(side, 'throughput'))}`,
        side === 'raw' ? `≤ ${aim}` : '',
        verdictHere,
      ]);
    }
    data[name] = { ...measured[name], statements: recipes[name].steps.map(({ text }) => text) };
  }
  const head = ['operation', 'statements', 'CPU µs', 'p50 ms', 'p99 ms', 'requests/s', 'aim (CPU)', ''];
  const text = [
    `Server / raw = ratio; medians of ${measured.get.kandev.length} rounds of ${ROUND.seconds} s in turn, ${CONNECTIONS} connections.`,
    markdownTable(head, rows),
    'Where the server spends it, CPU µs a request by share of samples (what Node does counts for the package that asked):',
    breakdown(list, profile, (name) => median(measured[name].kandev.map(({ cpu }) => cpu))),
  ].join('\n\n');
  return { title: 'Against raw SQL', text, passed, data: { ...data, profile: plain(profile) } };
}

function breakdown(list: readonly Operation[], profile: Profile, cpu: (name: OperationName) => number): string {
  const share = (name: OperationName, owner: string): number =>
    (profile[name].packages.get(owner) ?? 0) / sum([...profile[name].packages.values()]);
  const owners = [...new Set(list.flatMap(({ name }) => [...profile[name].packages.keys()]))];
  const most = (owner: string): number => Math.max(...list.map(({ name }) => share(name, owner)));
  const rows = owners
    .filter((owner) => most(owner) >= LEAST_SHARE)
    .toSorted((a, b) => most(b) - most(a))
    .map((owner) => [owner, ...list.map(({ name }) => figure(share(name, owner) * cpu(name)))]);
  return markdownTable(['package', ...list.map(({ title }) => title)], rows);
}

function plain(profile: Profile): object {
  return Object.fromEntries(
    Object.entries(profile).map(([name, { packages, requests }]) => [
      name,
      Object.fromEntries([...packages].map(([owner, us]) => [owner, us / requests])),
    ]),
  );
}
