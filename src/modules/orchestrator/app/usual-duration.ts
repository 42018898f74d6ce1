import { sql, type Kysely } from 'kysely';
import type { RunDB } from './run-rows.js';

/** Runs that are looked at: what was done of late says more than what was done long ago. */
const LOOKED_AT = 20;
/** With fewer, one of them would decide. */
const MIN_RUNS = 3;

/**
 * How long the last completed runs of this agent type on this board took, in ms: the median, from start to end. Null
 * where there are fewer than {@link MIN_RUNS}.
 */
export async function usualDuration(
  db: Kysely<RunDB>,
  { board_id, agent_type }: { board_id: string; agent_type: string },
): Promise<number | null> {
  const { rows } = await sql<{ median_ms: number }>`
    select percentile_cont(0.5) within group (order by extract(epoch from finished_at - started_at) * 1000) as median_ms
    from (
      select started_at, finished_at from runs
      where board_id = ${board_id} and agent_type = ${agent_type} and state = 'COMPLETED' and started_at is not null
      order by finished_at desc limit ${LOOKED_AT}
    ) latest having count(*) >= ${MIN_RUNS}`.execute(db);
  return rows[0]?.median_ms ?? null;
}
