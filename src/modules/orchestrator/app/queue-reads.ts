import { sql, type Kysely } from 'kysely';
import type { RunState } from '../contracts/run.types.js';
import { isDiskTrouble } from '../domain/host-troubles.js';
import { Limits, type HostFacts, type OverdueRun, type RunKind, type TypeNeeds } from '../domain/queue-facts.js';
import type { ShareOfQueue } from '../domain/serving-order.js';
import { CLAIMABLE, HELD, SAVE_UP_AFTER, SAVERS_HEARD_OF, USER } from './claim-fragments.js';
import { readLimits } from './limit-facts.js';
import type { RunDB } from './run-rows.js';

/** A run that holds a place, and since when. */
export interface HeldRun extends RunKind {
  host_id: string;
  state: RunState;
  memory_bytes: number;
  cpus: number;
  /** How long its agent has run, pauses counted; null before it does. */
  ran_ms: number | null;
}

/** The claimable runs of a user on a board, and of which types they are. */
export interface QueueShare extends ShareOfQueue {
  types: string[];
}

/** All that the claim goes by, as it is now. */
export interface QueueState {
  hosts: HostFacts[];
  savers: HostFacts[];
  held: HeldRun[];
  needs: Map<string, TypeNeeds>;
  limits: Limits;
  shares: QueueShare[];
  overdue: OverdueRun[];
}

/** Reads it, in a few short statements. A host is up that was heard of within `lost_seconds`. */
export async function readQueueState(db: Kysely<RunDB>, lost_seconds: number): Promise<QueueState> {
  const groups = await readGroups(db);
  const held = await readHeld(db);
  const needs = await readNeeds(db);
  const kinds = [...groups, ...held];
  const limits = await readLimits(db, [...new Set(kinds.flatMap(({ board_id, user_id }) => [board_id, user_id]))]);
  return {
    ...(await readHosts(db, lost_seconds)),
    held,
    needs,
    limits: new Limits(limits.rows),
    shares: sharesOf(groups, limits.stepOf),
    overdue: await readOverdue(db, groups, needs),
  };
}

interface Group extends RunKind {
  queued: number;
  overdue: number;
  board_pass: number;
  user_pass: number;
  board_service: number;
  user_service: number;
}

async function readGroups(db: Kysely<RunDB>): Promise<Group[]> {
  const { rows } = await sql<Group>`
    select claimable.*, coalesce(board.pass, 'Infinity') as board_pass, coalesce(person.pass, 'Infinity') as user_pass,
      (select coalesce(max(turn_pass), 0) from board_shares) as board_service,
      (select coalesce(max(turn_pass), 0) from user_shares mate where mate.board_id = claimable.board_id) as user_service
    from (
      select board_id, ${USER} as user_id, agent_type, count(*)::int as queued,
        count(*) filter (where rank_at < now() - ${SAVE_UP_AFTER})::int as overdue
      from runs where ${CLAIMABLE} group by 1, 2, 3
    ) claimable
    left join board_shares board on board.board_id = claimable.board_id
    left join user_shares person on person.board_id = claimable.board_id and person.user_id = claimable.user_id
    order by claimable.board_id, claimable.user_id, claimable.agent_type`.execute(db);
  return rows;
}

function sharesOf(
  groups: readonly Group[],
  stepOf: (scope: 'board' | 'user', subject: string) => number,
): QueueShare[] {
  const shares = Map.groupBy(groups, ({ board_id, user_id }) => `${board_id} ${user_id}`);
  return [...shares.values()].map((types) => {
    const { board_id, user_id, board_pass, user_pass, board_service, user_service } = types[0]!;
    return {
      ...{ board_id, user_id, board_pass, user_pass, board_service, user_service },
      board_step: stepOf('board', board_id),
      user_step: stepOf('user', user_id),
      queued: types.reduce((sum, { queued }) => sum + queued, 0),
      types: types.map(({ agent_type }) => agent_type),
    };
  });
}

/** A host saves up only for what it can lack room for. */
async function readOverdue(
  db: Kysely<RunDB>,
  groups: readonly Group[],
  needs: ReadonlyMap<string, TypeNeeds>,
): Promise<OverdueRun[]> {
  const large = groups.filter(({ agent_type, overdue }) => {
    const needed = needs.get(agent_type);
    return overdue > 0 && needed !== undefined && (needed.memory_bytes > 0 || needed.cpus > 0);
  });
  if (large.length === 0) return [];
  const { rows } = await sql<OverdueRun>`
    select kind.*, first.* from unnest(
      ${large.map(({ board_id }) => board_id)}::uuid[], ${large.map(({ user_id }) => user_id)}::uuid[],
      ${large.map(({ agent_type }) => agent_type)}::text[]
    ) as kind (board_id, user_id, agent_type)
    cross join lateral (
      select id, (extract(epoch from rank_at) * 1000)::float8 as rank_ms from runs
      where ${CLAIMABLE} and runs.board_id = kind.board_id and ${USER} = kind.user_id
        and runs.agent_type = kind.agent_type
      order by rank_at, id limit 1
    ) first`.execute(db);
  return rows;
}

async function readHeld(db: Kysely<RunDB>): Promise<HeldRun[]> {
  const { rows } = await sql<HeldRun>`
    select host_id, board_id, ${USER} as user_id, agent_type, state, reserved_memory_bytes as memory_bytes,
      reserved_cpus as cpus, (extract(epoch from now() - started_at) * 1000)::float8 as ran_ms
    from runs where ${HELD}`.execute(db);
  return rows;
}

interface HostRow extends Omit<HostFacts, 'disk_full'> {
  degraded: string[];
  is_up: boolean;
  is_saver: boolean;
}

async function readHosts(db: Kysely<RunDB>, lost_seconds: number): Promise<Pick<QueueState, 'hosts' | 'savers'>> {
  const { rows } = await sql<HostRow>`
    select host.id, name, labels, slots, memory_bytes, cpus, draining, degraded, own.runs, own.held_memory_bytes,
      own.held_cpus, heartbeat_at > now() - make_interval(secs => ${lost_seconds}) as is_up,
      heartbeat_at > now() - ${SAVERS_HEARD_OF} as is_saver
    from agent_hosts host cross join lateral (
      select count(*)::int as runs, coalesce(sum(reserved_memory_bytes), 0)::float8 as held_memory_bytes,
        coalesce(sum(reserved_cpus), 0) as held_cpus
      from runs where ${HELD} and runs.host_id = host.id
    ) own
    where heartbeat_at > now() - greatest(make_interval(secs => ${lost_seconds}), ${SAVERS_HEARD_OF})
    order by name, host.id`.execute(db);
  const found = rows.map(({ degraded, is_up, is_saver, ...host }) => {
    return { is_up, is_saver, host: { ...host, disk_full: degraded.some(isDiskTrouble) } };
  });
  return {
    hosts: found.filter(({ is_up }) => is_up).map(({ host }) => host),
    savers: found.filter(({ is_saver }) => is_saver).map(({ host }) => host),
  };
}

async function readNeeds(db: Kysely<RunDB>): Promise<Map<string, TypeNeeds>> {
  const { rows } = await sql<TypeNeeds & { agent_type: string }>`
    select agent_type, memory_bytes, cpus, host_labels from agent_type_needs`.execute(db);
  return new Map(rows.map(({ agent_type, ...needs }) => [agent_type, needs]));
}
