import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Kysely, type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodePosition } from '../../../common/validation/cursor.js';
import { newestFirst, type Page, type PageRequest } from '../../../common/validation/page.js';
import { GetTaskQuery, ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import type { PermissionOption, PermissionOutcome, PermissionState } from '../domain/permission-request.entity.js';
import type { SessionDB } from './session-rows.js';

/** A permission request as people see it. Times are RFC 3339. */
export interface PermissionRequestView {
  id: string;
  task_id: string;
  board_id: string;
  run_id: string;
  agent_id: string;
  title: string;
  tool_kind: string | null;
  paths: string[];
  tool_call: Record<string, unknown>;
  options: PermissionOption[];
  state: PermissionState;
  option_id: string | null;
  outcome: PermissionOutcome | null;
  answered_by: string | null;
  reason: string | null;
  expires_at: string | null;
  created_at: string;
  answered_at: string | null;
}

export interface PermissionFilter {
  board_id?: string | undefined;
  task_id?: string | undefined;
  /** Any of these; all where it is left out. */
  states?: readonly PermissionState[] | undefined;
}

/** A permission request. @throws DomainError `approval.not_found` */
export class GetPermissionRequestQuery extends Query<PermissionRequestView> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
  ) {
    super();
  }
}

/** Permission requests on boards that the actor may see, newest first. @throws DomainError `request.invalid` */
export class ListPermissionRequestsQuery extends Query<Page<PermissionRequestView>> {
  constructor(
    readonly actor: Actor,
    readonly filter: PermissionFilter,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(GetPermissionRequestQuery)
export class GetPermissionRequestHandler implements IQueryHandler<GetPermissionRequestQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, id }: GetPermissionRequestQuery): Promise<PermissionRequestView> {
    const request = await findRequest(this.transactions.kysely<SessionDB>(), id);
    if (!request) throw notFound('approval');
    await requireTask(this.queries, actor, request.task_id, 'read');
    return request;
  }
}

@QueryHandler(ListPermissionRequestsQuery)
export class ListPermissionRequestsHandler implements IQueryHandler<ListPermissionRequestsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, filter, page }: ListPermissionRequestsQuery): Promise<Page<PermissionRequestView>> {
    const after = page.cursor === null ? null : decodePosition(page.cursor);
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
    let requests = this.transactions.kysely<SessionDB>().selectFrom('permission_requests');
    if (boards !== 'all') requests = requests.where(sql<boolean>`board_id = any(${boards}::uuid[])`);
    if (filter.board_id) requests = requests.where('board_id', '=', filter.board_id);
    if (filter.task_id) requests = requests.where('task_id', '=', filter.task_id);
    const { states } = filter;
    if (states) requests = requests.where(sql<boolean>`state = any(${states}::text[])`);
    const rows = await requests
      .selectAll()
      .where(after ? sql<boolean>`(created_at, id) < (${after.created_at}, ${after.id})` : sql<boolean>`true`)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .offset(page.offset)
      .limit(page.limit + 1)
      .execute();
    const { total } = await requests.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    return newestFirst(rows.map(toRequestView), page, total);
  }
}

/**
 * Who may not see the task does not learn of its requests.
 * @throws DomainError `approval.not_found`; `board.forbidden` when the actor's role on the board is too small
 */
export async function requireTask(
  queries: QueryBus,
  actor: Actor,
  task_id: string,
  may: 'read' | 'write',
): Promise<void> {
  await queries.execute(new GetTaskQuery(actor, task_id, may)).catch((error: unknown) => {
    throw error instanceof DomainError && error.code === 'task.not_found' ? notFound('approval') : error;
  });
}

/** The request of that id; undefined where there is none. No access check. */
export async function findRequest(db: Kysely<SessionDB>, id: string): Promise<PermissionRequestView | undefined> {
  const row = await db.selectFrom('permission_requests').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toRequestView(row);
}

function toRequestView(row: Selectable<SessionDB['permission_requests']>): PermissionRequestView {
  const { request_key: _, expires_at, created_at, answered_at, tool_call, ...rest } = row;
  return {
    ...rest,
    tool_call: tool_call as Record<string, unknown>,
    expires_at: expires_at && toTimestamp(expires_at),
    created_at: toTimestamp(created_at),
    answered_at: answered_at && toTimestamp(answered_at),
  };
}
