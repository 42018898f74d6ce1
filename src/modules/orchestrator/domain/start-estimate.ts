import type { RunKind } from './queue-facts.js';
import { Places, type PlaceWorld, type Placement } from './start-places.js';

/** How sure an estimate is. `none`: there is none. */
export const ESTIMATE_CONFIDENCES = ['high', 'medium', 'low', 'none'] as const;
export type EstimateConfidence = (typeof ESTIMATE_CONFIDENCES)[number];

/** How long runs of one type on one board took of late. */
export interface UsualDuration {
  median_ms: number;
  /** How many were looked at. */
  samples: number;
  /** The distance between the quartiles, as a part of the median. */
  spread: number;
}

/** A run in the queue, in the order of service. `usual` null: nobody knows how long it will take. */
export interface ExpectedRun extends RunKind {
  usual: UsualDuration | null;
}

/** A run that holds a place. `left_ms` null: nobody knows for how long yet, as with one that is paused. */
export interface PlacedRun extends Placement {
  left_ms: number | null;
  confidence: EstimateConfidence;
}

export interface StartWorld extends PlaceWorld {
  placed: readonly PlacedRun[];
}

export interface StartEstimate {
  /** From now on. */
  in_ms: number;
  confidence: EstimateConfidence;
}

/** Ten runs that took about as long as each other tell much; fewer than five, or of all lengths, next to nothing. */
export function confidenceOf({ samples, spread }: UsualDuration): EstimateConfidence {
  if (samples >= 10 && spread <= 0.5) return 'high';
  return samples >= 5 && spread <= 1 ? 'medium' : 'low';
}

export function lesser(a: EstimateConfidence, b: EstimateConfidence): EstimateConfidence {
  return ESTIMATE_CONFIDENCES.indexOf(a) > ESTIMATE_CONFIDENCES.indexOf(b) ? a : b;
}

/**
 * When each of the queued runs starts if every run takes as long as is usual: whenever a place becomes free, the first
 * one in the queue that the limits, and a host's room and labels, allow takes it. Null: not as far as is known. An
 * estimate is as sure as the least sure of the durations that lead to it. That a host may save up for a large run, and
 * what is yet to be queued, is left out.
 */
export function estimateStarts(world: StartWorld, queue: readonly ExpectedRun[]): (StartEstimate | null)[] {
  const places = new Places(world);
  const kinds = queue.map(({ board_id, user_id, agent_type }) => `${board_id} ${user_id} ${agent_type}`);
  const starts = queue.map((): StartEstimate | null => null);
  const ends: End[] = [];
  for (const run of world.placed) {
    if (run.left_ms !== null) insert(ends, { at: run.left_ms, run, confidence: run.confidence });
  }
  const startWhatFits = (now: number, why: EstimateConfidence): void => {
    const refused = new Set<string>(); // of these kinds none fits now, so no further one does
    for (const [index, run] of queue.entries()) {
      if (!places.anyFree()) return;
      const kind = kinds[index]!;
      if (starts[index] || refused.has(kind)) continue;
      const placed = places.take(run);
      if (!placed) {
        refused.add(kind);
        continue;
      }
      starts[index] = { in_ms: now, confidence: why };
      const { usual } = run;
      if (usual) insert(ends, { at: now + usual.median_ms, run: placed, confidence: lesser(why, confidenceOf(usual)) });
    }
  };
  startWhatFits(0, 'high');
  for (let end = ends.pop(); end && starts.includes(null); end = ends.pop()) {
    places.leave(end.run);
    startWhatFits(end.at, end.confidence);
  }
  return starts;
}

/**
 * When a run starts that stands behind those that {@link estimateStarts} was asked about: the queue is taken to go on as
 * it did in their second half. Null where that says nothing.
 */
export function extrapolateStart(starts: readonly (StartEstimate | null)[], position: number): StartEstimate | null {
  const known = starts.flatMap((start) => (start ? [start.in_ms] : [])).toSorted((a, b) => a - b);
  const half = Math.floor(known.length / 2);
  const [middle, last] = [known[half], known.at(-1)];
  if (middle === undefined || last === undefined || last <= middle || known.length < starts.length / 2) return null;
  const each = (last - middle) / (known.length - 1 - half);
  return { in_ms: last + each * (position - starts.length), confidence: 'low' };
}

interface End {
  at: number;
  run: Placement;
  confidence: EstimateConfidence;
}

/** The last one comes first; of those of one time the one that was there first. */
function insert(ends: End[], end: End): void {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle]!.at > end.at) low = middle + 1;
    else high = middle;
  }
  ends.splice(low, 0, end);
}
