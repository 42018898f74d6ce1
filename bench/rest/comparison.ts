import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchUser } from '../lib/api.js';
import type { ChildServer } from '../lib/child-server.js';
import { load } from '../lib/load.js';
import { cpuMs } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { percentile } from '../lib/statistics.js';
import { figure } from '../lib/table.js';
import type { World } from '../lib/world.js';
import { requestOf, type Operation, type OperationName } from './operations.js';

export const CONNECTIONS = 8; // enough to keep a server busy while the database works, few enough not to measure a queue
/** 200 ticks of processor time, so that one more or less is half a percent; on a busy machine at least so many requests. */
export const ROUND = { seconds: 2, at_least: 1000 };
/** Until V8 has compiled what is hot: by requests, because a starved server gets nowhere in any time. */
export const WARM_UP = { seconds: 4, at_least: 10_000 };
/** The raw server's own, so that nobody delivers the events it writes. */
export const RAW_DATABASE = 'raw';
const OUTBOX_LIMIT_MS = 20_000;

/** The API; the raw server; the raw server with the check of access tokens that the API does. */
export type SideName = 'kandev' | 'raw' | 'jwt';

/** One server, or one way into it. */
export interface Side {
  name: SideName;
  server: ChildServer;
  prefix: string;
  database: string;
}

export interface Round {
  /** Microseconds of the server's processor time a request, its work in the background after it included. */
  cpu: number;
  p50: number;
  p99: number;
  throughput: number;
}

export type Measured = Record<OperationName, Record<SideName, Round[]>>;

/** Rounds of all sides in turn, each time in another order: what else the machine does meets all of them alike. */
export async function measure(
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

/** Loads one side, and says what a request has cost it. */
export async function oneRound(
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
export async function emptyOutbox(world: World, database: string): Promise<void> {
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
