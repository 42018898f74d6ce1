import { setTimeout as sleep } from 'node:timers/promises';
import { createBoard, register, type BenchUser } from '../lib/api.js';
import type { ChildServer } from '../lib/child-server.js';
import { HttpConnection, httpRequest } from '../lib/http-connection.js';
import { memoryMib } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { linearFit, median, percentile } from '../lib/statistics.js';
import { figure, markdownTable } from '../lib/table.js';
import type { World } from '../lib/world.js';
import { fillBoard, settle } from './fill-board.js';
import { SoakClient, type Cast, type Tally } from './soak-traffic.js';
import type { PartResult, RestOptions } from './part.js';

const CONNECTIONS = 32;
const TASKS = 1000; // on the board from the start
const SAMPLE_MS = 10_000;
const PROBE_MS = 50;
/** The first part of the run fills caches, pools and V8's heap: that growth ends. */
const WARM_UP_SHARE = 0.2;
/** MiB a minute that pass as flat: 1.4 GiB a day at full speed would be found by any operator, the noise of a heap is below. */
const FLAT_MIB_PER_MINUTE = 1;

interface Sample {
  /** Minutes since the start. */
  minutes: number;
  rss: number;
  anonymous: number;
  /** Of the server, to PostgreSQL. */
  connections: number;
  requests_per_second: number;
  /** Milliseconds that 99 of 100 liveness probes took at most: what the event loop makes anybody wait. */
  probe_p99: number;
}

/** Everything that people do, at full speed: nothing may fail, nothing may grow. */
export async function soak(world: World, { minutes }: RestOptions): Promise<PartResult> {
  step('soak: starting the server');
  const server = await world.startKandev();
  const cast = await setUp(world, server);
  const tally: Tally = { requests: 0, statuses: new Map(), failures: 0 };
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpConnection.open(server.url)));
  const deadline = performance.now() + minutes * 60_000;
  try {
    const workers = connections.map(async (connection, n) => {
      const client = new SoakClient(connection, cast, tally, n + 1);
      while (performance.now() < deadline) await client.act();
    });
    const [samples] = await Promise.all([watch(world, server, { tally, deadline }), ...workers]);
    return report(samples, tally, minutes);
  } finally {
    for (const connection of connections) connection.close();
    await server.stop();
  }
}

async function setUp(world: World, { url }: ChildServer): Promise<Cast> {
  await register(url, 'admin');
  const users: BenchUser[] = [];
  for (const name of ['owner', 'editor', 'viewer', 'outsider']) users.push(await register(url, name));
  const [owner, editor, viewer, outsider] = users as [BenchUser, BenchUser, BenchUser, BenchUser];
  const board = await createBoard(url, owner, 'Soak');
  const member = 'insert into board_members (board_id, user_id, role) values ($1, $2, $3)';
  await world.database().query(member, [board, editor.id, 'editor']);
  await world.database().query(member, [board, viewer.id, 'viewer']);
  await fillBoard(world.database(), { board_id: board, user_id: owner.id, count: TASKS });
  await settle(world.database());
  return { board, owner, editor, viewer, outsider };
}

async function watch(
  world: World,
  server: ChildServer,
  { tally, deadline }: { tally: Tally; deadline: number },
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const probe = await HttpConnection.open(server.url);
  const started = performance.now();
  let [before, requests] = [started, 0];
  while (before + SAMPLE_MS <= deadline) {
    const end = before + SAMPLE_MS;
    const waits: number[] = [];
    while (performance.now() < end) {
      const asked = performance.now();
      await probe.send(httpRequest('GET', '/health/live'));
      waits.push(performance.now() - asked);
      await sleep(PROBE_MS);
    }
    const now = performance.now();
    samples.push({
      minutes: (now - started) / 60_000,
      ...memoryMib(server.pid),
      connections: await connectionsOf(world, server.pid),
      requests_per_second: (tally.requests - requests) / ((now - before) / 1000),
      probe_p99: percentile(waits, 0.99),
    });
    [before, requests] = [now, tally.requests];
    tell(samples.at(-1), tally);
  }
  probe.close();
  return samples;
}

async function connectionsOf(world: World, pid: number): Promise<number> {
  const sql = 'select count(*)::int as n from pg_stat_activity where application_name = $1';
  const { rows } = await world.database().query<{ n: number }>(sql, [`kandev-${pid}`]);
  return rows[0]?.n ?? 0;
}

function tell(sample: Sample | undefined, { failures }: Tally): void {
  if (!sample) return;
  const { minutes, rss, connections, requests_per_second, probe_p99 } = sample;
  const figures = [
    `${figure(requests_per_second)} requests/s`,
    `RSS ${figure(rss)} MiB`,
    `${connections} connections`,
    `probe p99 ${figure(probe_p99)} ms`,
    `${failures} failed`,
  ];
  step(`soak: ${figure(minutes)} min: ${figures.join(', ')}`);
}

function report(samples: readonly Sample[], tally: Tally, minutes: number): PartResult {
  const steady = samples.filter((sample) => sample.minutes >= minutes * WARM_UP_SHARE);
  const rss = linearFit(steady.map((sample) => ({ x: sample.minutes, y: sample.rss })));
  // Growth counts when chance alone does not explain it: two standard errors.
  const flat = rss.slope - 2 * rss.error <= FLAT_MIB_PER_MINUTE;
  const connections = steady.map((sample) => sample.connections);
  const steadyConnections = Math.max(...connections) <= Math.max(...samples.slice(0, 2).map((s) => s.connections), 21);
  const passed = tally.failures === 0 && flat && steadyConnections;
  const of = (key: keyof Sample): number[] => steady.map((sample) => sample[key]);
  const range = (key: keyof Sample): string => `${figure(Math.min(...of(key)))} – ${figure(Math.max(...of(key)))}`;
  const seconds = samples.at(-1)?.minutes ?? 0;
  const rows = [
    ['requests', String(tally.requests), `${figure(tally.requests / (seconds * 60))} a second`, ''],
    ['unexpected answers', String(tally.failures), '', tally.failures === 0 ? 'PASS' : 'MISS'],
    ['RSS, MiB', range('rss'), `${figure(rss.slope)} ± ${figure(2 * rss.error)} a minute`, flat ? 'PASS' : 'MISS'],
    ['of it anonymous, MiB', range('anonymous'), '', ''],
    ['connections to PostgreSQL', range('connections'), '', steadyConnections ? 'PASS' : 'MISS'],
    ['liveness probe p99, ms', range('probe_p99'), `median ${figure(median(of('probe_p99')))}`, ''],
  ];
  const statuses = [...tally.statuses].toSorted(([a], [b]) => a.localeCompare(b)).map(([kind, n]) => `${kind}: ${n}`);
  const text = [
    `${figure(seconds)} minutes, ${CONNECTIONS} connections; figures of the last ${100 - WARM_UP_SHARE * 100} %.`,
    markdownTable(['', 'found', '', ''], rows),
    `Answers: ${statuses.join(' · ')}`,
  ].join('\n\n');
  return { title: 'Soak', text, passed, data: { samples, statuses: Object.fromEntries(tally.statuses), rss } };
}
