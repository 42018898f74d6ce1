import { setTimeout as sleep } from 'node:timers/promises';
import { createBoard, register, type BenchUser } from '../lib/api.js';
import type { ChildServer } from '../lib/child-server.js';
import { HttpConnection, httpRequest } from '../lib/http-connection.js';
import { Inspector, INSPECTABLE, inspectorUrl } from '../lib/inspector.js';
import { memoryMib } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { percentile } from '../lib/statistics.js';
import { figure } from '../lib/table.js';
import type { World } from '../lib/world.js';
import { fillBoard, settle } from './fill-board.js';
import { CONNECTIONS, report, WARM_UP_SHARE, type Collected, type Sample } from './soak-report.js';
import { SoakClient, type Cast, type Tally } from './soak-traffic.js';
import type { PartResult, RestOptions } from './part.js';

const TASKS = 1000; // on the board from the start
const SAMPLE_MS = 10_000;
const PROBE_MS = 50;
const LAST_LOOK_MS = 2_000; // before the end, while the load is still on
const COLLECTIONS = 10; // points of the lines that tell growth from noise

/** Everything that people do, at full speed: nothing may fail, nothing may grow. */
export async function soak(world: World, { minutes }: RestOptions): Promise<PartResult> {
  step('soak: starting the server');
  const server = await world.startKandev(INSPECTABLE);
  const cast = await setUp(world, server);
  const tally: Tally = { requests: 0, statuses: new Map(), failures: 0 };
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpConnection.open(server.url)));
  const deadline = performance.now() + minutes * 60_000;
  try {
    const workers = connections.map(async (connection, n) => {
      const client = new SoakClient(connection, cast, tally, n + 1);
      while (performance.now() < deadline) await client.act();
    });
    const [samples, collected] = await Promise.all([
      watch(world, server, { tally, deadline }),
      collections(server, minutes),
      ...workers,
    ]);
    return report(samples, tally, { minutes, collected });
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

/**
 * Memory after full collections, from the end of the warm-up on: between two of them V8 takes what a large machine has
 * and gives it back when it pleases, which looks like a leak for many minutes.
 */
async function collections(server: ChildServer, minutes: number): Promise<Collected[]> {
  const inspector = await Inspector.open(inspectorUrl(server.log));
  const collected: Collected[] = [];
  const pause = (minutes * 60_000 * (1 - WARM_UP_SHARE) - LAST_LOOK_MS) / (COLLECTIONS - 1);
  await sleep(minutes * 60_000 * WARM_UP_SHARE);
  for (const started = performance.now(); ; await sleep(pause)) {
    const heap = await inspector.liveHeapMib();
    const { rss } = memoryMib(server.pid);
    collected.push({ minutes: (performance.now() - started) / 60_000, heap, rss });
    if (collected.length < COLLECTIONS) continue;
    inspector.close();
    return collected;
  }
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
