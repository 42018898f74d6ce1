import { sql, type Kysely } from 'kysely';
import type { UsualDuration } from '../domain/start-estimate.js';
import type { RunDB } from './run-rows.js';

/** Runs that are looked at: what was done of late says more than what was done long ago. */
const LOOKED_AT = 20;
/** With fewer, one of them would decide. */
const MIN_RUNS = 3;

/** Runs of one type on one board. */
interface Pair {
  board_id: string;
  agent_type: string;
}

/**
 * How long the last completed runs of this agent type on this board took, in ms: the median, from start to end. Null
 * where there are fewer than {@link MIN_RUNS}.
 */
export async function usualDuration(db: Kysely<RunDB>, { board_id, agent_type }: Pair): Promise<number | null> {
  const usual = await usualDurations(db, [{ board_id, agent_type }]);
  return usual.of({ board_id, agent_type })?.median_ms ?? null;
}

/** The same for several, with how many there were and how far they lie apart. */
export async function usualDurations(
  db: Kysely<RunDB>,
  pairs: readonly Pair[],
): Promise<{ of(pair: Pair): UsualDuration | null }> {
  const asked = [...new Map(pairs.map((pair) => [keyOf(pair), pair])).values()];
  const { rows } = await sql<Pair & { samples: number; quartiles: [number, number, number] }>`
    select pair.board_id, pair.agent_type, count(*)::int as samples,
      percentile_cont(array[0.25, 0.5, 0.75]) within group (order by latest.ms) as quartiles
    from unnest(${asked.map(({ board_id }) => board_id)}::uuid[], ${asked.map(({ agent_type }) => agent_type)}::text[])
      as pair (board_id, agent_type)
    cross join lateral (
      select (extract(epoch from finished_at - started_at) * 1000)::float8 as ms from runs
      where runs.board_id = pair.board_id and runs.agent_type = pair.agent_type and state = 'COMPLETED'
        and started_at is not null
      order by finished_at desc limit ${LOOKED_AT}
    ) latest
    group by 1, 2 having count(*) >= ${MIN_RUNS}`.execute(db);
  const known = new Map(
    rows.map(({ quartiles: [low, median_ms, high], samples, ...pair }): [string, UsualDuration] => {
      return [keyOf(pair), { median_ms, samples, spread: (high - low) / Math.max(1, median_ms) }];
    }),
  );
  return { of: (pair) => known.get(keyOf(pair)) ?? null };
}

function keyOf({ board_id, agent_type }: Pair): string {
  return `${board_id} ${agent_type}`;
}
