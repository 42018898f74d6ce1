import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { Page, PageRequest } from '../../../common/validation/page.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { FindAttemptAgentQuery, GetProgressQuery } from '../../agent/contracts/agent.queries.js';
import { GetTaskQuery, ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import type { TaskState } from '../../task/contracts/task.types.js';
import { FindTasksWithLiveRunQuery } from '../contracts/run.queries.js';
import type { RunState } from '../contracts/run.types.js';
import { LIVE_RUN_STATES } from '../domain/run-state.js';
import { RunClaims } from './run-claims.js';
import type { RunDB } from './run-rows.js';

@QueryHandler(FindTasksWithLiveRunQuery)
export class FindTasksWithLiveRunHandler implements IQueryHandler<FindTasksWithLiveRunQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ filter }: FindTasksWithLiveRunQuery): Promise<string[]> {
    const query = this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .select('task_id')
      .where('state', 'in', LIVE_RUN_STATES);
    const rows = await (
      'task_id' in filter ? query.where('task_id', '=', filter.task_id) : query.where('board_id', '=', filter.board_id)
    ).execute();
    return rows.map(({ task_id }) => task_id);
  }
}

/** How the orchestrator of this server is doing. */
export interface OrchestratorStatus {
  status: 'running';
  active_agents: number;
  queued_tasks: number;
  uptime_seconds: number;
  last_heartbeat: string;
}

export class GetOrchestratorStatusQuery extends Query<OrchestratorStatus> {}

@QueryHandler(GetOrchestratorStatusQuery)
export class GetOrchestratorStatusHandler implements IQueryHandler<GetOrchestratorStatusQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly claims: RunClaims,
  ) {}

  async execute(): Promise<OrchestratorStatus> {
    const { queued } = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .select((by) => by.fn.countAll<number>().as('queued'))
      .where('state', '=', 'QUEUED')
      .executeTakeFirstOrThrow();
    return {
      status: 'running',
      active_agents: await this.claims.countHeld(),
      queued_tasks: queued,
      uptime_seconds: Math.floor(process.uptime()),
      last_heartbeat: new Date().toISOString(),
    };
  }
}

export interface QueuedRun {
  task_id: string;
  run_id: string;
  priority: number;
  queued_at: string;
  /** Null: nothing is known yet to estimate it from. */
  estimated_start: string | null;
}

/** The queue as far as the actor may see it, in the order it will be served. */
export class GetQueueQuery extends Query<Page<QueuedRun>> {
  constructor(
    readonly actor: Actor,
    readonly page: PageRequest,
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

  async execute({ actor, page }: GetQueueQuery): Promise<Page<QueuedRun>> {
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
    let queued = this.transactions.kysely<RunDB>().selectFrom('runs').where('state', '=', 'QUEUED');
    if (boards !== 'all') queued = queued.where('board_id', '=', sql<string>`any(${boards}::uuid[])`);
    const { total } = await queued.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    const rows = await queued
      .select(['id', 'task_id', 'priority', 'queued_at'])
      .orderBy('priority', 'desc')
      .orderBy('queued_at')
      .orderBy('id')
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    const items = rows.map(({ id, task_id, priority, queued_at }) => {
      return { task_id, run_id: id, priority, queued_at: toTimestamp(queued_at), estimated_start: null };
    });
    return { items, total: total, next_cursor: null };
  }
}

/** How the task's latest run goes. */
export interface RunStatus {
  task_id: string;
  state: TaskState;
  run_id: string | null;
  run_state: RunState | null;
  attempt: number | null;
  agent_instance_id: string | null;
  agent_type: string | null;
  queued_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  progress: number | null;
  current_operation: string | null;
  estimated_completion: string | null;
  failure_code: string | null;
  failure_message: string | null;
}

export class GetRunStatusQuery extends Query<RunStatus> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
  ) {
    super();
  }
}

@QueryHandler(GetRunStatusQuery)
export class GetRunStatusHandler implements IQueryHandler<GetRunStatusQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id }: GetRunStatusQuery): Promise<RunStatus> {
    const task = await this.queries.execute(new GetTaskQuery(actor, task_id));
    const run = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .selectAll()
      .where('task_id', '=', task_id)
      .orderBy('queued_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    const agent =
      run && run.attempt > 0 ? await this.queries.execute(new FindAttemptAgentQuery(run.id, run.attempt)) : null;
    const told = agent ? await this.queries.execute(new GetProgressQuery(agent.id)) : null;
    return {
      task_id,
      state: task.state,
      run_id: run?.id ?? null,
      run_state: run?.state ?? null,
      attempt: run?.attempt ?? null,
      agent_instance_id: agent?.id ?? null,
      agent_type: run?.agent_type ?? task.agent_type,
      queued_at: toTimestamp(run?.queued_at),
      started_at: toTimestamp(run?.started_at),
      finished_at: toTimestamp(run?.finished_at),
      progress: told?.progress ?? null,
      current_operation: told?.message ?? null,
      estimated_completion: null,
      failure_code: run?.failure_code ?? null,
      failure_message: run?.failure_message ?? null,
    };
  }
}
