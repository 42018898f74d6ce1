import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { newestPage } from '../../../common/persistence/newest-page.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { type Page, type PageRequest } from '../../../common/validation/page.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { FindRunQuery, FindTasksWithLiveRunQuery } from '../contracts/run.queries.js';
import type { ParkReason, RunState } from '../contracts/run.types.js';
import { isLive, LIVE_RUN_STATES } from '../domain/run-state.js';
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

@QueryHandler(FindRunQuery)
export class FindRunHandler implements IQueryHandler<FindRunQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({
    task_id,
    run_id,
  }: FindRunQuery): Promise<{ run_id: string; state: RunState; is_live: boolean; finished_at: Date | null } | null> {
    let query = this.transactions.kysely<RunDB>().selectFrom('runs').select(['id', 'state', 'finished_at']);
    query = query.where('task_id', '=', task_id);
    if (run_id !== null) query = query.where('id', '=', run_id);
    const row = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(1).executeTakeFirst();
    return row
      ? { run_id: row.id, state: row.state, is_live: isLive(row.state), finished_at: row.finished_at ?? null }
      : null;
  }
}

/** A run as the members of its board see it. Times are RFC 3339. */
export interface RunRecord {
  id: string;
  task_id: string;
  state: RunState;
  agent_type: string;
  priority: number;
  /** 0 while it was never claimed. */
  attempt: number;
  /** How many it may have in all; null for runs from before that was kept. */
  max_attempts: number | null;
  waits_for_tasks: boolean;
  /** Queued, but not taken from the queue before this time, for this reason. */
  not_before: string | null;
  parked_for: ParkReason | null;
  /** Null when that user was deleted since. */
  requested_by: string | null;
  stop_reason: string | null;
  failure_code: string | null;
  failure_message: string | null;
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
  created_at: string;
}

/** The runs of a task, newest first. @throws DomainError `task.not_found` */
export class ListRunsQuery extends Query<Page<RunRecord>> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListRunsQuery)
export class ListRunsHandler implements IQueryHandler<ListRunsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, page }: ListRunsQuery): Promise<Page<RunRecord>> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const runs = this.transactions.kysely<RunDB>().selectFrom('runs').where('task_id', '=', task_id);
    return newestPage(runs, (query) => query.selectAll(), page, toRunRecord);
  }
}

function toRunRecord(row: Selectable<RunDB['runs']>): RunRecord {
  const { id, task_id, state, agent_type, priority, attempt } = row;
  const { waits_for_tasks, parked_for, requested_by, stop_reason, failure_code, failure_message } = row;
  return {
    ...{ id, task_id, state, agent_type, priority, attempt },
    ...{ waits_for_tasks: state === 'QUEUED' && waits_for_tasks, requested_by },
    ...{ stop_reason, failure_code, failure_message, parked_for },
    max_attempts: row.retry_policy?.max_attempts ?? null,
    not_before: toTimestamp(row.not_before),
    queued_at: toTimestamp(row.queued_at),
    started_at: toTimestamp(row.started_at),
    finished_at: toTimestamp(row.finished_at),
    created_at: toTimestamp(row.created_at),
  };
}
