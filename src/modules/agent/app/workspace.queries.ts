import { Inject } from '@nestjs/common';
import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { Query } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { newestPage } from '../../../common/persistence/newest-page.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { Page, PageRequest } from '../../../common/validation/page.js';
import { TaskDisks, type DiskMethod } from '../domain/task-disks.js';
import type { WorkspaceState } from '../domain/workspace.entity.js';
import type { AgentDB, WorkspaceRow } from './agent-rows.js';

/** A workspace as administrators see it. */
export interface WorkspaceView {
  task_id: string;
  board_id: string;
  host_id: string;
  repository_url: string | null;
  base_branch: string | null;
  base_commit: string | null;
  branch: string | null;
  branch_commit: string | null;
  pushed_commit: string | null;
  state: WorkspaceState;
  disk_method: DiskMethod | null;
  disk_limit_bytes: number | null;
  size_bytes: number | null;
  measured_at: string | null;
  last_used_at: string;
  created_at: string;
  removed_at: string | null;
}

/** What the workspaces of this server take. Bytes. */
export interface DiskTotals {
  /** Of those that were measured. */
  used_bytes: number;
  free_bytes: number;
  /** Null: no limit. */
  budget_bytes: number | null;
  /** Null: they are kept for ever. */
  retention_days: number | null;
}

export interface WorkspaceFilter {
  state: WorkspaceState | null;
  board_id: string | null;
  task_id: string | null;
}

/** All workspaces, newest first, and what they take. @throws DomainError `workspace.forbidden` for everybody but administrators */
export class ListWorkspacesQuery extends Query<Page<WorkspaceView> & { disk: DiskTotals }> {
  constructor(
    readonly actor: Actor,
    readonly filter: WorkspaceFilter,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListWorkspacesQuery)
export class ListWorkspacesHandler implements IQueryHandler<ListWorkspacesQuery> {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly transactions: Transactions,
    private readonly disks: TaskDisks,
  ) {}

  async execute({ actor, filter, page }: ListWorkspacesQuery): Promise<Page<WorkspaceView> & { disk: DiskTotals }> {
    adminsOnly(actor, 'workspace');
    const { state, board_id, task_id } = filter;
    // Lists go by `id`, which is the task's here.
    let rows = this.transactions
      .kysely<AgentDB>()
      .selectFrom((from) => from.selectFrom('workspaces').selectAll().select('task_id as id').as('w'));
    if (state !== null) rows = rows.where('state', '=', state);
    if (board_id !== null) rows = rows.where('board_id', '=', board_id);
    if (task_id !== null) rows = rows.where('task_id', '=', task_id);
    const toRow = (row: WorkspaceRow) => ({ ...toWorkspaceView(row), id: row.task_id });
    const found = await newestPage(rows, (some) => some.selectAll(), page, toRow);
    const items = found.items.map(({ id: _, ...view }) => view);
    return { ...found, items, disk: await this.totals() };
  }

  private async totals(): Promise<DiskTotals> {
    const { used } = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('workspaces')
      .select(sql<string>`coalesce(sum(size_bytes), 0)`.as('used'))
      .where('host_id', '=', this.config.host_id)
      .where('state', '<>', 'REMOVED')
      .executeTakeFirstOrThrow();
    const { budget_bytes, retention_days } = this.config.workspace;
    return {
      used_bytes: Number(used),
      free_bytes: await this.disks.free(),
      budget_bytes: budget_bytes || null,
      retention_days: retention_days || null,
    };
  }
}

function toWorkspaceView(row: WorkspaceRow): WorkspaceView {
  const { task_id, board_id, host_id, state } = row;
  return {
    ...{ task_id, board_id, host_id, state },
    repository_url: row.repository_url ?? null,
    base_branch: row.base_branch ?? null,
    base_commit: row.base_commit ?? null,
    branch: row.branch ?? null,
    branch_commit: row.branch_commit ?? null,
    pushed_commit: row.pushed_commit ?? null,
    disk_method: row.disk_method ?? null,
    disk_limit_bytes: row.disk_limit_bytes ?? null,
    size_bytes: row.size_bytes ?? null,
    measured_at: toTimestamp(row.measured_at),
    last_used_at: toTimestamp(row.last_used_at),
    created_at: toTimestamp(row.created_at),
    removed_at: toTimestamp(row.removed_at),
  };
}
