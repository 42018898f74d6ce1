import { sql, type Kysely } from 'kysely';
import { missingOn } from '../domain/host-fit.js';
import type { OverdueRun, QueueFacts } from '../domain/queue-facts.js';
import type { ShareOfQueue } from '../domain/serving-order.js';
import { CLAIMABLE, SAVE_UP_AFTER, USER } from './claim-fragments.js';
import type { RunDB } from './run-rows.js';

const FIRST = sql`select id, board_id, ${USER} as user_id, (extract(epoch from rank_at) * 1000)::float8 as rank_ms
  from runs where ${CLAIMABLE} and rank_at < now() - ${SAVE_UP_AFTER} and runs.agent_type = kind.agent_type`;

/** Whom a host may save up for: what the claim goes by, the shares that wait, and of which types they have runs. */
type Waiting = Pick<QueueFacts, 'hosts' | 'needs' | 'limits'> & { types: string[]; shares: ShareOfQueue[] };

/**
 * The first runs of those that hosts save up for: of each type that a host lacks room for now, and of each share where
 * limits of boards or users may hold back the first one of all.
 */
export async function readOverdue(
  db: Kysely<RunDB>,
  { hosts, needs, limits, types, shares }: Waiting,
): Promise<OverdueRun[]> {
  const large = types.filter((agent_type) => {
    const needed = needs.get(agent_type);
    return needed !== undefined && hosts.some((host) => missingOn(host, needed) !== null);
  });
  if (large.length === 0) return [];
  if (!limits.holdBack('board') && !limits.holdBack('user')) {
    const { rows } = await sql<OverdueRun>`
      select kind.agent_type, first.* from unnest(${large}::text[]) as kind (agent_type)
      cross join lateral (${FIRST} order by rank_at, id limit 1) first`.execute(db);
    return rows;
  }
  const { rows } = await sql<OverdueRun>`
    select kind.agent_type, first.*
    from unnest(${shares.map(({ board_id }) => board_id)}::uuid[], ${shares.map(({ user_id }) => user_id)}::uuid[])
      as share (board_id, user_id)
    cross join unnest(${large}::text[]) as kind (agent_type)
    cross join lateral (
      ${FIRST} and runs.board_id = share.board_id and ${USER} = share.user_id order by rank_at, id limit 1
    ) first`.execute(db);
  return rows;
}
