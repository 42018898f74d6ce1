import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { Page, PageRequest } from '../../../common/validation/page.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { GetTaskQuery, ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import type { AgentStatus, ResourceLimits } from '../contracts/agent.types.js';
import type { AgentDB } from './agent-rows.js';
import { requireAgent } from './output.queries.js';

/** An agent instance as clients see it. */
export interface InstanceView {
  id: string;
  task_id: string;
  run_id: string;
  attempt: number;
  agent_type: string;
  runtime: string;
  container_id: string | null;
  container_name: string | null;
  status: AgentStatus;
  image_name: string;
  image_id: string | null;
  started_at: string | null;
  stopped_at: string | null;
  exit_code: number | null;
  failure_code: string | null;
  error_message: string | null;
  result_summary: string | null;
  resource_limits: ResourceLimits;
  created_at: string;
  updated_at: string;
}

/** @throws DomainError `agent.not_found` */
export class GetInstanceQuery extends Query<InstanceView> {
  constructor(
    readonly actor: Actor,
    readonly agent_id: string,
  ) {
    super();
  }
}

@QueryHandler(GetInstanceQuery)
export class GetInstanceHandler implements IQueryHandler<GetInstanceQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, agent_id }: GetInstanceQuery): Promise<InstanceView> {
    await requireAgent(this.transactions, this.queries, actor, agent_id);
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .selectAll()
      .where('id', '=', agent_id)
      .executeTakeFirstOrThrow();
    return toInstanceView(row);
  }
}

/** Instances newest first: of one task, or of all that the actor may see. */
export class ListInstancesQuery extends Query<Page<InstanceView>> {
  constructor(
    readonly actor: Actor,
    readonly filter: { task_id: string | null; status: AgentStatus[] | null },
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListInstancesQuery)
export class ListInstancesHandler implements IQueryHandler<ListInstancesQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, filter, page }: ListInstancesQuery): Promise<Page<InstanceView>> {
    let instances = this.transactions.kysely<AgentDB>().selectFrom('agent_instances');
    if (filter.task_id !== null) {
      await this.queries.execute(new GetTaskQuery(actor, filter.task_id));
      instances = instances.where('task_id', '=', filter.task_id);
    } else {
      const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
      if (boards !== 'all') instances = instances.where('board_id', '=', sql<string>`any(${boards}::uuid[])`);
    }
    if (filter.status) instances = instances.where('status', 'in', filter.status);
    const { total } = await instances.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    const rows = await instances
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    return { items: rows.map(toInstanceView), total: total, next_cursor: null };
  }
}

function toInstanceView(row: Selectable<AgentDB['agent_instances']>): InstanceView {
  const {
    id,
    task_id,
    run_id,
    attempt,
    agent_type,
    runtime,
    container_id,
    container_name,
    status,
    image_name,
    image_id,
  } = row;
  const { exit_code, failure_code, error_message, result_summary } = row;
  return {
    ...{
      id,
      task_id,
      run_id,
      attempt,
      agent_type,
      runtime,
      container_id,
      container_name,
      status,
      image_name,
      image_id,
    },
    ...{ exit_code, failure_code, error_message, result_summary },
    started_at: toTimestamp(row.started_at),
    stopped_at: toTimestamp(row.stopped_at),
    resource_limits: row.resource_limits ?? {},
    created_at: toTimestamp(row.created_at),
    updated_at: toTimestamp(row.updated_at),
  };
}
