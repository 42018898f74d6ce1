import { linearFit, median } from '../lib/statistics.js';
import { figure, markdownTable } from '../lib/table.js';
import type { PartResult } from './part.js';
import type { Tally } from './soak-traffic.js';

export const CONNECTIONS = 32; // more than the pool has to the database, so that requests wait for each other
/** The first part of the run fills caches, pools and V8's heap: that growth ends. */
export const WARM_UP_SHARE = 0.2;
/** MiB a minute that pass as flat, of live objects and of resident memory: below is the noise of both. */
const FLAT_MIB_PER_MINUTE = 1;

/** What ten seconds have shown. */
export interface Sample {
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

/** After a full collection: MiB of live objects, and of resident memory. */
export interface Collected {
  minutes: number;
  heap: number;
  rss: number;
}

/** Whether nothing failed and nothing grew. */
export function report(
  samples: readonly Sample[],
  tally: Tally,
  { minutes, collected }: { minutes: number; collected: readonly Collected[] },
): PartResult {
  const steady = samples.filter((sample) => sample.minutes >= minutes * WARM_UP_SHARE);
  const growth = (key: 'rss' | 'heap') => {
    const { slope, error } = linearFit(collected.map((point) => ({ x: point.minutes, y: point[key] })));
    // Growth counts when chance alone does not explain it: two standard errors.
    const flat = slope - 2 * error <= FLAT_MIB_PER_MINUTE;
    const values = collected.map((point) => point[key]);
    const range = `${figure(Math.min(...values))} – ${figure(Math.max(...values))}`;
    return { flat, row: [range, `${figure(slope)} ± ${figure(2 * error)} a minute`, flat ? 'PASS' : 'MISS'] };
  };
  const [rss, heap] = [growth('rss'), growth('heap')];
  const connections = steady.map((sample) => sample.connections);
  const steadyConnections = Math.max(...connections) <= Math.max(...samples.slice(0, 2).map((s) => s.connections), 21);
  const passed = tally.failures === 0 && rss.flat && heap.flat && steadyConnections;
  const of = (key: keyof Sample): number[] => steady.map((sample) => sample[key]);
  const range = (key: keyof Sample): string => `${figure(Math.min(...of(key)))} – ${figure(Math.max(...of(key)))}`;
  const seconds = samples.at(-1)?.minutes ?? 0;
  const rows = [
    ['requests', String(tally.requests), `${figure(tally.requests / (seconds * 60))} a second`, ''],
    ['unexpected answers', String(tally.failures), '', tally.failures === 0 ? 'PASS' : 'MISS'],
    ['live objects, MiB', ...heap.row],
    ['RSS after collections, MiB', ...rss.row],
    ['RSS in between, MiB', range('rss'), `of it no file's: ${range('anonymous')}`, ''],
    ['connections to PostgreSQL', range('connections'), '', steadyConnections ? 'PASS' : 'MISS'],
    ['liveness probe p99, ms', range('probe_p99'), `median ${figure(median(of('probe_p99')))}`, ''],
  ];
  const statuses = [...tally.statuses].toSorted(([a], [b]) => a.localeCompare(b)).map(([kind, n]) => `${kind}: ${n}`);
  const text = [
    `${figure(seconds)} minutes, ${CONNECTIONS} connections; figures of the last ${100 - WARM_UP_SHARE * 100} %.`,
    markdownTable(['', 'found', '', ''], rows),
    `Answers: ${statuses.join(' · ')}`,
  ].join('\n\n');
  return { title: 'Soak', text, passed, data: { samples, statuses: Object.fromEntries(tally.statuses), collected } };
}
