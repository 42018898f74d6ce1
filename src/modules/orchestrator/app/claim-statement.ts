import { sql, type RawBuilder } from 'kysely';
import { NOBODY, type ClaimedRun } from './run-rows.js';

/** Runs that hold a place on a host. */
const HELD = sql.raw(`state in ('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`);
const CLAIMABLE = sql.raw(`state = 'QUEUED' and not waits_for_tasks and not_before is null`);
const USER = sql.raw(`coalesce(requested_by, '${NOBODY}'::uuid)`);
/**
 * A run that has waited for longer than this, by its rank, and for which the host has room but for what runs there now,
 * gets it: the host takes nothing else until it has. Else a large one would wait for ever for small ones to leave a gap
 * at the same time.
 */
const SAVE_UP_AFTER = sql.raw(`interval '10 minutes'`);

/** What limits one subject; what limits each of its scope where it has no row of its own. Null: nothing. */
function limitOf(column: 'max_running' | 'weight', scope: string, subject: string): RawBuilder<number> {
  const rows = (of: string) => `(select ${column} from run_limits where scope = '${scope}' and subject = ${of})`;
  const own = `(select count(*) from run_limits where scope = '${scope}' and subject = ${subject})`;
  return sql.raw(`case when ${own} > 0 then ${rows(subject)} else ${rows(`'*'`)} end`);
}

function below(count: string, limit: RawBuilder<number>): RawBuilder<boolean> {
  return sql`(${sql.raw(count)} < coalesce(${limit}, 2147483647))`;
}

/** For whom a run is claimed. */
export interface Claimer {
  host_id: string;
  lease_owner: string;
  lease_seconds: number;
}

/** Limits that hosts share: two that claim at once would not see each other's runs. */
const SHARED_LIMITS = sql.raw(`exists (select from run_limits where scope <> 'host' and max_running is not null)`);

/**
 * Takes one queued run for the host: of the board that is furthest behind, on it of the user that is, of theirs the one
 * of the earliest rank; and moves both shares on. Passed by are boards, users and agent types at their limits, and
 * agent types that the host has no labels or no room for. Nothing is taken while the host drains, or is at its own or
 * the whole server's limit.
 *
 * `beside_others`: shares that another claim has locked are passed by, and nothing is taken where there are limits that
 * hosts share. Otherwise whoever calls it sees to that only one does.
 */
export function claimStatement(
  { host_id, lease_owner, lease_seconds }: Claimer,
  mode: 'beside_others' | 'alone',
): RawBuilder<ClaimedRun> {
  const isBeside = mode === 'beside_others';
  return sql`
    with held as materialized (
      select host_id, board_id, ${USER} as user_id, agent_type, reserved_memory_bytes, reserved_cpus
      from runs where ${HELD}
    ), host as materialized (
      select host.labels, host.memory_bytes, host.cpus,
        host.memory_bytes - own.memory_bytes as free_memory_bytes, host.cpus - own.cpus as free_cpus
      from agent_hosts host cross join (
        select count(*) as runs, coalesce(sum(reserved_memory_bytes), 0) as memory_bytes,
          coalesce(sum(reserved_cpus), 0) as cpus
        from held where host_id = ${host_id}::uuid
      ) own
      where host.id = ${host_id}::uuid and not host.draining ${isBeside ? sql`and not ${SHARED_LIMITS}` : sql``}
        and own.runs < coalesce(${limitOf('max_running', 'host', 'host.id::text')}, host.slots)
        and ${below('(select count(*) from held)', limitOf('max_running', 'server', `'*'`))}
    ), types as materialized (
      select need.agent_type, least(need.memory_bytes, host.memory_bytes) as memory_bytes,
        least(need.cpus, host.cpus) as cpus, host.free_memory_bytes, host.free_cpus
      from agent_type_needs need cross join host
      where need.host_labels <@ host.labels
        and ${below('(select count(*) from held where held.agent_type = need.agent_type)', limitOf('max_running', 'agent_type', 'need.agent_type'))}
    ), open_boards as (
      select share.board_id from board_shares share
      where ${below('(select count(*) from held where held.board_id = share.board_id)', limitOf('max_running', 'board', 'share.board_id::text'))}
    ), fitting as materialized (
      select agent_type, memory_bytes, cpus from types
      where memory_bytes <= free_memory_bytes and cpus <= free_cpus
        and not exists (
          select from types large
          where (large.memory_bytes > large.free_memory_bytes or large.cpus > large.free_cpus) and exists (
            select from runs
            where ${CLAIMABLE} and runs.agent_type = large.agent_type and rank_at < now() - ${SAVE_UP_AFTER}
              and board_id in (select board_id from open_boards)
          )
        )
    ), share as materialized (
      select board.board_id, person.user_id
      from board_shares board join user_shares person on person.board_id = board.board_id
      where board.waiting and person.waiting
        and exists (
          select from fitting join runs on runs.agent_type = fitting.agent_type
          where ${CLAIMABLE} and runs.board_id = board.board_id and ${USER} = person.user_id
        )
        and ${below('(select count(*) from held where held.board_id = board.board_id)', limitOf('max_running', 'board', 'board.board_id::text'))}
        and ${below('(select count(*) from held where held.user_id = person.user_id)', limitOf('max_running', 'user', 'person.user_id::text'))}
      order by board.pass, board.board_id, person.pass, person.user_id
      limit 1
      for update of board, person ${isBeside ? sql`skip locked` : sql``}
    ), next as materialized (
      select first.id, first.board_id, first.user_id, fitting.memory_bytes, fitting.cpus
      from share cross join fitting cross join lateral (
        select id, rank_at, share.board_id, share.user_id from runs
        where ${CLAIMABLE} and board_id = share.board_id and ${USER} = share.user_id
          and agent_type = fitting.agent_type
        order by rank_at, id limit 1
        for update ${isBeside ? sql`skip locked` : sql``}
      ) first
      order by first.rank_at, first.id limit 1
    ), board_turn as (
      update board_shares set turn_pass = pass,
        pass = pass + 1.0 / coalesce(${limitOf('weight', 'board', 'board_shares.board_id::text')}, 1)
      from next where board_shares.board_id = next.board_id
    ), user_turn as (
      update user_shares set turn_pass = pass,
        pass = pass + 1.0 / coalesce(${limitOf('weight', 'user', 'user_shares.user_id::text')}, 1)
      from next where user_shares.board_id = next.board_id and user_shares.user_id = next.user_id
    )
    update runs set state = 'STARTING', host_id = ${host_id}::uuid, lease_owner = ${lease_owner}::uuid,
      lease_expires_at = now() + make_interval(secs => ${lease_seconds}::int), updated_at = now(), claimed_at = now(),
      reserved_memory_bytes = next.memory_bytes, reserved_cpus = next.cpus,
      epoch = epoch + 1, attempt = attempt + 1, version = version + 1
    from next where runs.id = next.id and runs.state = 'QUEUED'
    returning runs.id, task_id, agent_type, repository_url, branch, state, attempt, epoch, requested_by, stop_reason,
      stop_force`;
}
