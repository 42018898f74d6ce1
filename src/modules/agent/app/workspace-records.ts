import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { IsHostUpQuery } from '../../orchestrator/contracts/host.queries.js';
import { AttemptFailure } from '../domain/outcome.js';
import type { DiskMethod } from '../domain/task-disks.js';
import type { CheckedOut, Checkout } from '../domain/workspaces.js';
import type { AgentDB, WorkspaceRow } from './agent-rows.js';
import { WorkspaceRescuer } from './rescue-workspace.js';

/** What is known of a workspace once it is there. */
export interface ReadyWorkspace extends CheckedOut {
  disk_method: DiskMethod;
  /** Null: no limit. */
  disk_limit_bytes: number | null;
}

/** Rows of workspaces, as far as attempts write them. Written before the files are: no workspace is without a row. */
@Injectable()
export class WorkspaceRecords {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly transactions: Transactions,
    @Inject(QueryBus) private readonly queries: Pick<QueryBus, 'execute'>,
    @Inject(WorkspaceRescuer) private readonly rescuer: Pick<WorkspaceRescuer, 'resume'>,
  ) {}

  /**
   * The workspace of a task is about to be made, or used again. One that is there keeps what it was made from, and its
   * branch keeps its name, whatever the task is called by now: use those of the row. A removal that was cut off is
   * finished first; that of a host which is down or was removed is not waited for. For who has the task's lock.
   * @throws AttemptFailure `workspace.disk_unavailable` when that fails, or another host that is up is removing it
   */
  async preparing(checkout: Checkout & { board_id: string }): Promise<WorkspaceRow> {
    const row = await this.begin(checkout);
    if (row) return row;
    const there = await this.read(checkout.task_id);
    if (there?.state === 'REMOVING' && there.host_id === this.config.host_id) {
      // One that could not be saved stays, and is used.
      await this.rescuer.resume(there).catch((error: unknown) => {
        if (!(error instanceof DomainError)) throw error;
      });
    }
    if (there && there.host_id !== this.config.host_id) await this.takeFromDead(there);
    const again = await this.begin(checkout);
    if (again) return again;
    throw new AttemptFailure(
      'workspace.disk_unavailable',
      'The workspace of this task is being removed; what was in it is kept. Start the task again in a moment.',
    );
  }

  /** What lies there stays there; a host that comes back finds that the workspace is not its own any more. */
  private async takeFromDead({ task_id, host_id }: WorkspaceRow): Promise<void> {
    if (await this.queries.execute(new IsHostUpQuery(host_id))) return;
    await this.transactions
      .kysely<AgentDB>()
      .updateTable('workspaces')
      .set({ state: 'REMOVED', updated_at: sql<Date>`now()` })
      .where('task_id', '=', task_id)
      .where('host_id', '=', host_id)
      .where('state', '=', 'REMOVING')
      .execute();
  }

  /** Undefined while it is being removed. */
  private begin(checkout: Checkout & { board_id: string }): Promise<WorkspaceRow | undefined> {
    const { task_id, board_id, repository_url, branch: base_branch, work_branch: branch } = checkout;
    const { host_id } = this.config;
    return this.transactions
      .kysely<AgentDB>()
      .insertInto('workspaces')
      .values({ task_id, board_id, host_id, repository_url, base_branch, branch, ...DEFAULTS })
      .onConflict((conflict) =>
        conflict
          .column('task_id')
          .doUpdateSet({
            ...{ board_id, host_id, removed_at: null, ...USED_NOW },
            repository_url: kept('repository_url', host_id),
            base_branch: kept('base_branch', host_id),
            base_commit: kept('base_commit', host_id),
            branch: sql<string>`coalesce(workspaces.branch, excluded.branch)`,
            branch_commit: ofSameRepository('branch_commit', host_id),
            pushed_commit: ofSameRepository('pushed_commit', host_id),
            state: sql<'READY'>`case when ${stays(host_id)} then 'READY' else 'PREPARING' end`,
          })
          .where('workspaces.state', '<>', 'REMOVING'),
      )
      .returningAll()
      .executeTakeFirst();
  }

  /** The workspace is whole. */
  async ready(
    taskId: string,
    { base_commit, base_branch, disk_method, disk_limit_bytes }: ReadyWorkspace,
  ): Promise<void> {
    await this.transactions
      .kysely<AgentDB>()
      .updateTable('workspaces')
      .set({
        state: 'READY',
        ...{ disk_method, disk_limit_bytes },
        // A workspace that was found may have lost its own word for it.
        base_commit: sql<string>`coalesce(${base_commit}, base_commit)`,
        base_branch: sql<string>`coalesce(${base_branch}, base_branch)`,
        ...USED_NOW,
      })
      .where('task_id', '=', taskId)
      .where('state', 'in', ['PREPARING', 'READY'])
      .execute();
  }

  /** An attempt has just ended with it. */
  async used(taskId: string): Promise<void> {
    await this.transactions
      .kysely<AgentDB>()
      .updateTable('workspaces')
      .set(USED_NOW)
      .where('task_id', '=', taskId)
      .execute();
  }

  /** Undefined: the task never had one. */
  read(taskId: string): Promise<WorkspaceRow | undefined> {
    return this.transactions
      .kysely<AgentDB>()
      .selectFrom('workspaces')
      .selectAll()
      .where('task_id', '=', taskId)
      .executeTakeFirst();
  }
}

/** By the database's clock, as those that compare it go by that. */
const USED_NOW = { last_used_at: sql<Date>`now()`, updated_at: sql<Date>`now()` };

/** What another host has is not here: here it begins anew. */
const stays = (hostId: string) => sql`workspaces.state = 'READY' and workspaces.host_id = ${hostId}::uuid`;
const kept = (column: string, hostId: string) =>
  sql<
    string | null
  >`case when ${stays(hostId)} then workspaces.${sql.ref(column)} else excluded.${sql.ref(column)} end`;

/** Commits of the task's branch mean nothing in another repository. */
const ofSameRepository = (column: string, hostId: string) =>
  sql<string | null>`case
    when (${stays(hostId)}) or workspaces.repository_url is not distinct from excluded.repository_url
    then workspaces.${sql.ref(column)} end`;

const DEFAULTS = { state: 'PREPARING' as const, created_at: sql<Date>`now()`, ...USED_NOW };
