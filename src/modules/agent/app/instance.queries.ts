import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodePosition } from '../../../common/validation/cursor.js';
import { newestFirst, type Page, type PageRequest } from '../../../common/validation/page.js';
import { GetTaskQuery, ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import type { AgentStatus, CredentialMount, NetworkMode, ResourceLimits, Runtime } from '../contracts/agent.types.js';
import type { ContainerHealth } from '../domain/container-runtime.js';
import type { ResourceUsage } from '../domain/resource-usage.js';
import type { SandboxReport } from '../domain/sandbox.js';
import { authorizeAgent } from './agent-access.js';
import type { AgentDB } from './agent-rows.js';

/** An agent instance as clients see it. */
export interface InstanceView {
  id: string;
  task_id: string;
  run_id: string;
  attempt: number;
  agent_type: string;
  agent_type_version: number | null;
  runtime: Runtime;
  container_id: string | null;
  container_name: string | null;
  status: AgentStatus;
  image_name: string;
  image_id: string | null;
  image_digest: string | null;
  started_at: string | null;
  stopped_at: string | null;
  exit_code: number | null;
  failure_code: string | null;
  error_message: string | null;
  result_summary: string | null;
  resource_limits: ResourceLimits;
  network: NetworkMode;
  allowed_hosts: string[];
  mounts: CredentialMount[];
  /** Seconds that hold for this attempt; null for attempts from before they were kept. */
  inactivity_timeout_seconds: number | null;
  wall_clock_timeout_seconds: number | null;
  paused_at: string | null;
  /** Milliseconds, without the present pause. */
  paused_ms: number;
  health: ContainerHealth | null;
  usage: ResourceUsage | null;
  created_at: string;
  updated_at: string;
}

/** One instance, with what confines it. */
export interface InstanceDetails extends InstanceView {
  sandbox: SandboxReport | null;
}

/** @throws DomainError `agent.not_found` */
export class GetInstanceQuery extends Query<InstanceDetails> {
  constructor(
    readonly actor: Actor,
    readonly agent_id: string,
  ) {
    super();
  }
}

/** Which instances. What the actor may not see is left out, even where it is named here. */
export interface InstanceFilter {
  status: AgentStatus[] | null;
  agent_type: string | null;
  task_id: string | null;
  board_id: string | null;
}

/** Instances that the actor may see, newest first. @throws DomainError `request.invalid` for a wrong cursor */
export class ListInstancesQuery extends Query<Page<InstanceView>> {
  constructor(
    readonly actor: Actor,
    readonly filter: InstanceFilter,
    readonly page: PageRequest,
  ) {
    super();
  }
}

/** Instances of one task, newest first. @throws DomainError `task.not_found`, `request.invalid` for a wrong cursor */
export class ListTaskInstancesQuery extends Query<Page<InstanceView>> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly filter: Pick<InstanceFilter, 'status' | 'agent_type'>,
    readonly page: PageRequest,
  ) {
    super();
  }
}

// All but the command, the environment, what is long, and what only the server needs.
const COLUMNS = [
  ...(['id', 'task_id', 'run_id', 'attempt', 'agent_type', 'agent_type_version', 'runtime', 'container_id'] as const),
  ...(['container_name', 'status', 'image_name', 'image_id', 'started_at', 'stopped_at', 'exit_code'] as const),
  ...(['failure_code', 'error_message', 'result_summary', 'resource_limits', 'created_at', 'updated_at'] as const),
  ...(['image_digest', 'network', 'allowed_hosts', 'mounts', 'inactivity_timeout_seconds'] as const),
  ...(['wall_clock_timeout_seconds', 'paused_at', 'paused_ms', 'health', 'usage'] as const),
];

@QueryHandler(GetInstanceQuery)
export class GetInstanceHandler implements IQueryHandler<GetInstanceQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, agent_id }: GetInstanceQuery): Promise<InstanceDetails> {
    const instances = this.transactions.kysely<AgentDB>().selectFrom('agent_instances');
    const row = await instances
      .select([...COLUMNS, 'sandbox'])
      .where('id', '=', agent_id)
      .executeTakeFirst();
    if (!row) throw notFound('agent');
    await authorizeAgent(this.queries, actor, row.task_id, 'read');
    return { ...toInstanceView(row), sandbox: row.sandbox };
  }
}

@QueryHandler(ListInstancesQuery)
export class ListInstancesHandler implements IQueryHandler<ListInstancesQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, filter, page }: ListInstancesQuery): Promise<Page<InstanceView>> {
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
    return listInstances(this.transactions, filter, boards, page);
  }
}

@QueryHandler(ListTaskInstancesQuery)
export class ListTaskInstancesHandler implements IQueryHandler<ListTaskInstancesQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, filter, page }: ListTaskInstancesQuery): Promise<Page<InstanceView>> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    return listInstances(this.transactions, { ...filter, task_id, board_id: null }, 'all', page);
  }
}

async function listInstances(
  transactions: Transactions,
  filter: InstanceFilter,
  boards: string[] | 'all',
  page: PageRequest,
): Promise<Page<InstanceView>> {
  let instances = transactions.kysely<AgentDB>().selectFrom('agent_instances');
  if (boards !== 'all') instances = instances.where('board_id', '=', sql<string>`any(${boards}::uuid[])`);
  if (filter.task_id !== null) instances = instances.where('task_id', '=', filter.task_id);
  if (filter.board_id !== null) instances = instances.where('board_id', '=', filter.board_id);
  if (filter.agent_type !== null) instances = instances.where('agent_type', '=', filter.agent_type);
  if (filter.status) instances = instances.where('status', 'in', filter.status);
  const { total } = await instances.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
  let part = instances.select(COLUMNS).orderBy('created_at', 'desc').orderBy('id', 'desc');
  if (page.cursor !== null) {
    const { created_at, id } = decodePosition(page.cursor);
    part = part.where(sql<boolean>`(created_at, id) < (${created_at}::timestamptz, ${id}::uuid)`);
  }
  const rows = await part
    .limit(page.limit + 1)
    .offset(page.offset)
    .execute();
  return newestFirst(rows.map(toInstanceView), page, total);
}

function toInstanceView(row: Pick<Selectable<AgentDB['agent_instances']>, (typeof COLUMNS)[number]>): InstanceView {
  return {
    ...row,
    started_at: toTimestamp(row.started_at),
    stopped_at: toTimestamp(row.stopped_at),
    resource_limits: row.resource_limits ?? {},
    paused_at: toTimestamp(row.paused_at),
    created_at: toTimestamp(row.created_at),
    updated_at: toTimestamp(row.updated_at),
  };
}
