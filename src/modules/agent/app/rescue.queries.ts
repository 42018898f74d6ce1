import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { Query } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { newestPage } from '../../../common/persistence/newest-page.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { Page, PageRequest } from '../../../common/validation/page.js';
import { AuthorizeBoardQuery, GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { RescueReason } from '../domain/rescue.entity.js';
import type { LeftOut } from '../domain/work-trees.js';
import type { AgentDB } from './agent-rows.js';

export type RescueRow = Selectable<AgentDB['rescues']>;

/** A rescue as clients see it. */
export interface RescueView {
  id: string;
  task_id: string;
  board_id: string;
  repository_url: string | null;
  reason: RescueReason;
  requested_by: string | null;
  base_commit: string | null;
  commit: string;
  files: number;
  bytes: number;
  left_out: LeftOut[];
  restored_at: string | null;
  created_at: string;
}

/** What was rescued of one task, newest first. @throws DomainError `task.not_found` */
export class ListTaskRescuesQuery extends Query<Page<RescueView>> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly page: PageRequest,
  ) {
    super();
  }
}

/** All rescues, newest first. @throws DomainError `rescue.forbidden` for everybody but administrators */
export class ListRescuesQuery extends Query<Page<RescueView>> {
  constructor(
    readonly actor: Actor,
    readonly filter: { task_id: string | null; board_id: string | null },
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListTaskRescuesQuery)
export class ListTaskRescuesHandler implements IQueryHandler<ListTaskRescuesQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, page }: ListTaskRescuesQuery): Promise<Page<RescueView>> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    return list(this.transactions, { task_id, board_id: null }, page);
  }
}

@QueryHandler(ListRescuesQuery)
export class ListRescuesHandler implements IQueryHandler<ListRescuesQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, filter, page }: ListRescuesQuery): Promise<Page<RescueView>> {
    adminsOnly(actor, 'rescue');
    return list(this.transactions, filter, page);
  }
}

function list(
  transactions: Transactions,
  { task_id, board_id }: ListRescuesQuery['filter'],
  page: PageRequest,
): Promise<Page<RescueView>> {
  let rescues = transactions.kysely<AgentDB>().selectFrom('rescues');
  if (task_id !== null) rescues = rescues.where('task_id', '=', task_id);
  if (board_id !== null) rescues = rescues.where('board_id', '=', board_id);
  return newestPage(rescues, (rows) => rows.selectAll(), page, toRescueView);
}

/**
 * A rescue that the actor may see or use: with its board. One whose board is gone is the administrators'.
 * @throws DomainError `rescue.not_found`, `board.forbidden`
 */
export async function authorizeRescue(
  transactions: Transactions,
  queries: QueryBus,
  actor: Actor,
  rescueId: string,
  permission: 'read' | 'write',
): Promise<RescueRow> {
  const rescues = transactions.kysely<AgentDB>().selectFrom('rescues').selectAll();
  const row = await rescues.where('id', '=', rescueId).executeTakeFirst();
  if (!row) throw notFound('rescue');
  if (actor.role === 'admin') return row;
  await queries.execute(new AuthorizeBoardQuery(actor, row.board_id, permission)).catch((error: unknown) => {
    throw error instanceof DomainError && error.kind === 'not_found' ? notFound('rescue') : error;
  });
  return row;
}

export function toRescueView(row: RescueRow): RescueView {
  const { id, task_id, board_id, reason, commit_sha: commit, files, bytes, left_out } = row;
  return {
    ...{ id, task_id, board_id, reason, commit, files, bytes, left_out },
    repository_url: row.repository_url ?? null,
    requested_by: row.requested_by ?? null,
    base_commit: row.base_commit ?? null,
    restored_at: toTimestamp(row.restored_at),
    created_at: toTimestamp(row.created_at),
  };
}
