import { sql, type RawBuilder } from 'kysely';
import type { ClaimedRun } from './run-rows.js';

/** For whom a run is claimed. */
export interface Claimer {
  host_id: string;
  lease_owner: string;
  lease_seconds: number;
}

/**
 * Takes one queued run for the host: of the board that is furthest behind, on it of the user that is, of theirs the one
 * of the earliest rank; and moves both shares on. Passed by are boards, users and agent types at their limits, and
 * agent types that the host has no labels or no room for. Nothing is taken while the host drains, or is at its own or
 * the whole server's limit. Hosts claim beside each other, where they share limits one after the other.
 *
 * It is the function `claim_run` of the migration `faster-claim`: in one statement, but counting what was committed while it
 * waited for a lock, too. Gives up with `lock_not_available` (55P03) after a second of waiting.
 */
export function claimStatement({ host_id, lease_owner, lease_seconds }: Claimer): RawBuilder<ClaimedRun> {
  return sql`
    select id, task_id, agent_type, repository_url, branch, state, attempt, epoch, requested_by, stop_reason, stop_force,
      extract(epoch from now() - queued_at)::float8 as waited_seconds
    from claim_run(${host_id}::uuid, ${lease_owner}::uuid, ${lease_seconds}::integer)`;
}
