import { sql, type Kysely } from 'kysely';
import type { RunState } from '../contracts/run.types.js';
import { isDiskTrouble } from '../domain/host-troubles.js';
import { Limits, type HostFacts, type OverdueRun, type RunKind, type TypeNeeds } from '../domain/queue-facts.js';
import type { ShareOfQueue } from '../domain/serving-order.js';
import { HELD, SAVERS_HEARD_OF, USER } from './claim-fragments.js';
import { readLimits } from './limit-facts.js';
import { readOverdue } from './overdue-runs.js';
import { readQueuedTypes, readShares } from './queue-shares.js';
import { LEASE_SECONDS, type RunDB } from './run-rows.js';

/** A run that holds a place, and since when. */
export interface HeldRun extends RunKind {
  host_id: string;
  state: RunState;
  memory_bytes: number;
  cpus: number;
  /** How long its agent has run, pauses counted; null before it does. */
  ran_ms: number | null;
}

/** All that the claim goes by, as it is now. */
export interface QueueState {
  hosts: HostFacts[];
  savers: HostFacts[];
  held: HeldRun[];
  needs: Map<string, TypeNeeds>;
  limits: Limits;
  shares: ShareOfQueue[];
  /** Agent types of which there are claimable runs. */
  types: string[];
  overdue: OverdueRun[];
  /** Whether a process looks after the queue: brings back into line what was parked, and lets go what waits for tasks. */
  is_kept: boolean;
}

/** Reads it, in a few short statements. A host is up that was heard of within `lost_seconds`. */
export async function readQueueState(db: Kysely<RunDB>, lost_seconds: number): Promise<QueueState> {
  const counted = await readShares(db);
  const held = await readHeld(db);
  const needs = await readNeeds(db);
  const kinds = [...counted, ...held];
  const limits = await readLimits(db, [...new Set(kinds.flatMap(({ board_id, user_id }) => [board_id, user_id]))]);
  const shares = counted.map((share) => {
    const [board_step, user_step] = [limits.stepOf('board', share.board_id), limits.stepOf('user', share.user_id)];
    return { ...share, board_step, user_step };
  });
  const state = {
    ...(await readHosts(db, lost_seconds)),
    held,
    needs,
    limits: new Limits(limits.rows),
    shares,
    types: await readQueuedTypes(db),
    is_kept: await isQueueKept(db),
  };
  return { ...state, overdue: await readOverdue(db, state) };
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

/** Whether a process that looks after the queue was heard of within the time of a lease. */
export async function isQueueKept(db: Kysely<RunDB>): Promise<boolean> {
  const { rows } = await sql<{ is_kept: boolean }>`select exists (
    select from queue_keepers where heartbeat_at > now() - make_interval(secs => ${LEASE_SECONDS})) as is_kept`.execute(
    db,
  );
  return rows[0]!.is_kept;
}
