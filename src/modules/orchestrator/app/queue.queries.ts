import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetDiskQuery } from '../../agent/contracts/disk.queries.js';
import { GetEngineQuery, type EngineStatus } from '../../agent/contracts/engine.queries.js';
import { ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import { hostTroubles } from '../domain/host-troubles.js';
import { RunClaims } from './run-claims.js';
import { LEASE_SECONDS, type RunDB } from './run-rows.js';

/** `starting` before the first heartbeat, `stalled` when there was none for as long as a lease holds. */
export const ORCHESTRATOR_STATUSES = ['starting', 'running', 'stalled'] as const;

/** How the orchestrator of this server is doing. */
export interface OrchestratorStatus {
  status: (typeof ORCHESTRATOR_STATUSES)[number];
  active_agents: number;
  queued_tasks: number;
  uptime_seconds: number;
  last_heartbeat: string | null;
  /** Null while this server has just started and has not looked yet. */
  engine: EngineStatus | null;
  /** What does not work as it should, in sentences; empty when all is well. */
  degraded: string[];
}

export class GetOrchestratorStatusQuery extends Query<OrchestratorStatus> {}

@QueryHandler(GetOrchestratorStatusQuery)
export class GetOrchestratorStatusHandler implements IQueryHandler<GetOrchestratorStatusQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly claims: RunClaims,
    private readonly queries: QueryBus,
  ) {}

  async execute(): Promise<OrchestratorStatus> {
    const { queued } = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .select((by) => by.fn.countAll<number>().as('queued'))
      .where('state', '=', 'QUEUED')
      .executeTakeFirstOrThrow();
    const heard = this.claims.heardFrom();
    const status = statusOf(heard, Date.now());
    const engine = await this.queries.execute(new GetEngineQuery());
    return {
      status,
      active_agents: await this.claims.countHeld(),
      queued_tasks: queued,
      uptime_seconds: Math.floor(process.uptime()),
      last_heartbeat: toTimestamp(heard),
      engine,
      degraded: [
        ...(status === 'stalled' ? ['The orchestrator has not looked after its runs for a while.'] : []),
        ...hostTroubles(engine, await this.queries.execute(new GetDiskQuery())),
      ],
    };
  }
}

function statusOf(heard: Date | null, now: number): OrchestratorStatus['status'] {
  if (heard === null) return 'starting';
  return now - heard.getTime() < LEASE_SECONDS * 1000 ? 'running' : 'stalled';
}

export interface QueuedRun {
  task_id: string;
  run_id: string;
  priority: number;
  queued_at: string;
  /** Passed by until the tasks that its task depends on are completed. */
  waits_for_tasks: boolean;
  /** 1 is next, of all that are queued, whoever sees them; null while it waits for other tasks. */
  position: number | null;
  /** Null: nothing is known yet to estimate it from. */
  estimated_start: string | null;
}

/** A part of a list that has no cursor: it moves too fast for one. */
export interface QueuePart {
  items: QueuedRun[];
  total: number;
}

/** The queue as far as the actor may see it, in the order it is served; what waits for other tasks comes last. */
export class GetQueueQuery extends Query<QueuePart> {
  constructor(
    readonly actor: Actor,
    readonly limit: number,
    readonly offset: number,
  ) {
    super();
  }
}

@QueryHandler(GetQueueQuery)
export class GetQueueHandler implements IQueryHandler<GetQueueQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, limit, offset }: GetQueueQuery): Promise<QueuePart> {
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
    const nth = sql<number>`row_number() over (order by waits_for_tasks, priority desc, queued_at, id)::int`;
    let queued = this.transactions.kysely<RunDB>().selectFrom((from) =>
      from
        .selectFrom('runs')
        .select(['id', 'task_id', 'board_id', 'priority', 'queued_at', 'waits_for_tasks', nth.as('place')])
        .where('state', '=', 'QUEUED')
        .as('queue'),
    );
    if (boards !== 'all') queued = queued.where('board_id', '=', sql<string>`any(${boards}::uuid[])`);
    const { total } = await queued.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    const rows = await queued.selectAll().orderBy('place').limit(limit).offset(offset).execute();
    const items = rows.map(({ id, task_id, priority, queued_at, waits_for_tasks, place }) => ({
      ...{ task_id, run_id: id, priority, queued_at: toTimestamp(queued_at), waits_for_tasks },
      ...{ position: waits_for_tasks ? null : place, estimated_start: null },
    }));
    return { items, total };
  }
}
