import { Inject } from '@nestjs/common';
import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Query } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetDiskQuery } from '../../agent/contracts/disk.queries.js';
import { GetEngineQuery, type EngineStatus } from '../../agent/contracts/engine.queries.js';
import type { ParkReason } from '../contracts/run.types.js';
import { hostTroubles } from '../domain/host-troubles.js';
import { CLAIMABLE } from './claim-fragments.js';
import { ListHostsQuery, type HostView } from './host.queries.js';
import { openLetters } from './open-dead-letters.js';
import { isQueueKept } from './queue-reads.js';
import { LEASE_SECONDS, type RunDB } from './run-rows.js';

/**
 * `stalled` when no host that is up has looked after its runs, or nobody after the queue, for as long as a lease holds;
 * `starting` where that is so and this process has just begun.
 */
export const ORCHESTRATOR_STATUSES = ['starting', 'running', 'stalled'] as const;
type Status = (typeof ORCHESTRATOR_STATUSES)[number];

const NO_HOST = 'No host looks after runs: none starts until a process with KANDEV_ROLE=runner (or all) is there.';
const NO_KEEPER =
  'Nobody looks after the queue: events are not delivered, runs that wait do not come back into line, and dead hosts are not noticed until a process with KANDEV_ROLE=orchestrator (or all) is there.';

/** Queued runs, by what keeps them. */
export interface QueuedCounts {
  /** In line: to be claimed as soon as there is a place for them. */
  ready: number;
  /** For other tasks, or for room in a column. */
  waits_for_tasks: number;
  back_off: number;
  retry_after: number;
  budget: number;
  /** For an earlier agent of their task to be gone that nobody can reach. */
  agent_left: number;
}

/** What the hosts that are up offer together, and what is taken of it. */
export interface Capacity {
  slots: number;
  running: number;
  memory_bytes: number;
  reserved_memory_bytes: number;
  cpus: number;
  reserved_cpus: number;
}

/** How the orchestrator is doing, all of its processes and hosts together. */
export interface OrchestratorStatus {
  status: Status;
  active_agents: number;
  queued_tasks: number;
  queued: QueuedCounts;
  /** As many as the list of them has for an administrator. */
  dead_letters: number;
  hosts: { up: number; draining: number; down: number };
  capacity: Capacity;
  /** Of this server process. */
  uptime_seconds: number;
  /** The newest of any host. */
  last_heartbeat: string | null;
  /** Of this server process; null while it has just started, and where it serves no engine. */
  engine: EngineStatus | null;
  /** What does not work as it should, in sentences; empty when all is well. */
  degraded: string[];
}

export class GetOrchestratorStatusQuery extends Query<OrchestratorStatus> {}

@QueryHandler(GetOrchestratorStatusQuery)
export class GetOrchestratorStatusHandler implements IQueryHandler<GetOrchestratorStatusQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute(): Promise<OrchestratorStatus> {
    const hosts = await this.queries.execute(new ListHostsQuery());
    const engine = await this.queries.execute(new GetEngineQuery());
    const up = hosts.filter(({ state }) => state !== 'down');
    const { total, dead_letters, ...queued } = await this.queued();
    const now_ms = await this.clock();
    const last =
      hosts
        .map(({ last_heartbeat }) => last_heartbeat)
        .toSorted()
        .at(-1) ?? null;
    const uptime = process.uptime();
    const isServed = last !== null && now_ms - Date.parse(last) < LEASE_SECONDS * 1000;
    const isKept = await isQueueKept(this.transactions.kysely<RunDB>());
    const status: Status = isServed && isKept ? 'running' : uptime < LEASE_SECONDS ? 'starting' : 'stalled';
    return {
      status,
      active_agents: hosts.reduce((sum, { running }) => sum + running, 0),
      queued_tasks: total,
      queued,
      dead_letters,
      hosts: countsOf(hosts),
      capacity: capacityOf(up),
      uptime_seconds: Math.floor(uptime),
      last_heartbeat: last,
      engine,
      degraded: [
        ...(status !== 'starting' && !isServed ? [NO_HOST] : []),
        ...(status !== 'starting' && !isKept ? [NO_KEEPER] : []),
        ...(await Promise.all(hosts.map((host) => this.troublesOf(host, engine)))).flat(),
      ],
    };
  }

  /** As the host has written down; of this process's own what it knows now, of one that is down just that. */
  private async troublesOf(host: HostView, engine: EngineStatus | null): Promise<string[]> {
    const { id, name, state, degraded, last_heartbeat } = host;
    if (state === 'down') return [`${name}: nothing was heard of it since ${last_heartbeat}.`];
    const isOwn = id === this.config.host_id && engine !== null;
    const troubles = isOwn ? hostTroubles(engine, await this.queries.execute(new GetDiskQuery())) : degraded;
    return troubles.map((sentence) => `${name}: ${sentence}`);
  }

  private async queued(): Promise<QueuedCounts & { total: number; dead_letters: number }> {
    const db = this.transactions.kysely<RunDB>();
    const letters = openLetters(db, 'all', {}).select(sql<number>`count(*)::int`.as('count'));
    // Each sort by its own index: nothing else of a hundred thousand rows has to be read.
    const { rows } = await sql<QueuedCounts & { dead_letters: number }>`
      select (select count(*) from runs where ${CLAIMABLE})::int as ready,
        (select count(*) from runs where state = 'QUEUED' and waits_for_tasks)::int as waits_for_tasks,
        parked.*, ${letters} as dead_letters
      from (
        select ${parked('back_off')}, ${parked('retry_after')}, ${parked('budget')}, ${parked('agent_left')}
        from runs where state = 'QUEUED' and not_before is not null and not waits_for_tasks
      ) parked`.execute(db);
    const { dead_letters, ...queued } = rows[0]!;
    return { ...queued, dead_letters, total: Object.values(queued).reduce((sum, count) => sum + count, 0) };
  }

  /** PostgreSQL's, as heartbeats are; ms since 1970. */
  private async clock(): Promise<number> {
    const { rows } = await sql<{ ms: number }>`
      select (extract(epoch from now()) * 1000)::float8 as ms`.execute(this.transactions.kysely<RunDB>());
    return rows[0]!.ms;
  }
}

function parked(reason: ParkReason) {
  return sql`(count(*) filter (where coalesce(parked_for, 'back_off') = ${reason}))::int as ${sql.ref(reason)}`;
}

function countsOf(hosts: readonly HostView[]): OrchestratorStatus['hosts'] {
  const count = (state: HostView['state']): number => hosts.filter((host) => host.state === state).length;
  return { up: count('up'), draining: count('draining'), down: count('down') };
}

function capacityOf(hosts: readonly HostView[]): Capacity {
  const sum = (of: (host: HostView) => number): number => hosts.reduce((all, host) => all + of(host), 0);
  return {
    ...{ slots: sum(({ slots }) => slots), running: sum(({ running }) => running) },
    memory_bytes: sum(({ memory_bytes }) => memory_bytes),
    reserved_memory_bytes: sum(({ reserved_memory_bytes }) => reserved_memory_bytes),
    ...{ cpus: sum(({ cpus }) => cpus), reserved_cpus: sum(({ reserved_cpus }) => reserved_cpus) },
  };
}
