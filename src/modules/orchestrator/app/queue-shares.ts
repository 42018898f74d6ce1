import { sql, type Kysely } from 'kysely';
import type { ShareOfQueue } from '../domain/serving-order.js';
import { CLAIMABLE } from './claim-fragments.js';
import { NOBODY, type RunDB } from './run-rows.js';

/** Behind each place that there is. */
const LAST = sql.raw('(2 ^ 51)');

/** A share without what a claim adds to it: that is a matter of weights. */
export type ShareRow = Omit<ShareOfQueue, 'board_step' | 'user_step'>;

/**
 * Who has how many claimable runs, and how far the queue has served them. Counts every claimable run, but in an index
 * that has nothing else and many runs an entry (`runs_queue_idx`): some milliseconds for 100,000.
 */
export async function readShares(db: Kysely<RunDB>): Promise<ShareRow[]> {
  const { rows } = await sql<ShareRow>`
    select claimable.*, coalesce(board.pass, 'Infinity') as board_pass, coalesce(person.pass, 'Infinity') as user_pass,
      coalesce(board.place::float8, ${LAST}) as board_place, coalesce(person.place::float8, ${LAST}) as user_place,
      (select coalesce(max(turn_pass), 0) from board_shares) as board_service,
      coalesce(board.user_service, 0) as user_service
    from (
      select board_id, coalesce(requested_by, '${sql.raw(NOBODY)}'::uuid) as user_id, queued
      from (
        select board_id, requested_by, count(*)::int as queued from runs where ${CLAIMABLE} group by 1, 2
      ) counted
    ) claimable
    left join board_shares board on board.board_id = claimable.board_id
    left join user_shares person on person.board_id = claimable.board_id and person.user_id = claimable.user_id
    order by claimable.board_id, claimable.user_id`.execute(db);
  return rows;
}

/** Of which agent types there are claimable runs: by leaps through an index, however many there are of each. */
export async function readQueuedTypes(db: Kysely<RunDB>): Promise<string[]> {
  const { rows } = await sql<{ agent_type: string }>`
    with recursive type as (
      (select agent_type from runs where ${CLAIMABLE} order by agent_type limit 1)
      union all
      select next.agent_type from type cross join lateral (
        select agent_type from runs where ${CLAIMABLE} and runs.agent_type > type.agent_type
        order by agent_type limit 1
      ) next
    )
    select agent_type from type`.execute(db);
  return rows.map(({ agent_type }) => agent_type);
}
