import type { Kysely } from 'kysely';
import type { HostFacts } from '../domain/queue-facts.js';
import type { ShareOfQueue } from '../domain/serving-order.js';
import type { StartHost } from '../domain/start-places.js';
import {
  confidenceOf,
  estimateStarts,
  extrapolateStart,
  type PlacedRun,
  type StartEstimate,
  type UsualDuration,
} from '../domain/start-estimate.js';
import type { PlacedInQueue } from './queue-places.js';
import type { HeldRun, QueueState } from './queue-reads.js';
import type { RunDB } from './run-rows.js';
import { usualDurations } from './usual-duration.js';

/** What a run that has taken longer than usual is taken to need yet, as a part of that. */
const OVERTIME = 0.1;
/** What ends a stopped agent is its grace time at the latest; most need less than the default of it. */
const STOPPING_MS = 10_000;

/** When the runs at the head of the queue start, and those behind. */
export interface StartForecast {
  /** Of the run at this position, from 1; null: nothing sound can be said. */
  at(position: number): StartEstimate | null;
}

/** A forecast from what runs of these kinds took of late. `head`: the first runs of the queue, with their shares. */
export async function forecastStarts(
  db: Kysely<RunDB>,
  state: QueueState,
  head: readonly { share: ShareOfQueue; run: PlacedInQueue | undefined }[],
): Promise<StartForecast> {
  const queued = head.flatMap(({ share: { board_id, user_id }, run }) => {
    return run ? [{ board_id, user_id, agent_type: run.agent_type }] : [];
  });
  const usual = await usualDurations(db, [...queued, ...state.held]);
  const world = {
    hosts: state.hosts.filter(({ draining, disk_full }) => !draining && !disk_full).map((host) => toHost(host, state)),
    needs: state.needs,
    limits: state.limits,
    placed: state.held.map((run) => toPlaced(run, usual.of(run))),
  };
  const starts = estimateStarts(
    world,
    queued.map((run) => ({ ...run, usual: usual.of(run) })),
  );
  return { at: (position) => (position <= starts.length ? starts[position - 1]! : extrapolateStart(starts, position)) };
}

function toHost({ id, slots, labels, memory_bytes, cpus }: HostFacts, { limits }: QueueState): StartHost {
  return { id, places: limits.maxOf('host', id) ?? slots, labels, memory_bytes, cpus };
}

function toPlaced(run: HeldRun, usual: UsualDuration | null): PlacedRun {
  const { board_id, user_id, agent_type, host_id, memory_bytes, cpus } = run;
  const place = { board_id, user_id, agent_type, host_id, memory_bytes, cpus };
  if (run.state === 'STOPPING') return { ...place, left_ms: STOPPING_MS, confidence: 'medium' };
  if (run.state === 'PAUSED' || !usual) return { ...place, left_ms: null, confidence: 'none' };
  const left_ms = usual.median_ms - (run.ran_ms ?? 0);
  if (left_ms > 0) return { ...place, left_ms, confidence: confidenceOf(usual) };
  return { ...place, left_ms: OVERTIME * usual.median_ms, confidence: 'low' };
}
