import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { TaskView } from '../../task/contracts/task.types.js';
import { workBranch } from '../domain/work-branch.js';
import { WorkTrees } from '../domain/work-trees.js';
import type { AgentDB, WorkspaceRow } from './agent-rows.js';
import { WorkspaceRescuer } from './rescue-workspace.js';
import type { RescueRow } from './rescue.queries.js';
import { hasChanges, NO_LIVE_AGENT, PATIENCE_MS, runLive, TaskWorkspaces } from './workspace-access.js';

/** Makes room for what is brought back: a row of its own that says PREPARING, and a workspace with nothing in it. */
@Injectable()
export class RestorePlaces {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly transactions: Transactions,
    private readonly workspaces: TaskWorkspaces,
    private readonly rescuer: WorkspaceRescuer,
    private readonly trees: WorkTrees,
  ) {}

  /**
   * The row of the task's workspace, no longer of one that was there. One without changes makes room. For who has the
   * task's lock.
   * @throws DomainError `run.live`, `workspace.has_changes`, `workspace.removing`
   */
  async claim(
    task: TaskView,
    rescue: RescueRow,
    actor: Actor,
  ): Promise<{ task_id: string; disk_limit_bytes: number | null }> {
    const there = await this.find(task.id);
    if (there?.state === 'READY' && there.host_id === this.config.host_id) await this.clear(there, rescue, actor);
    const { host_id } = this.config;
    const { repository_url, base_commit } = rescue;
    const times = { created_at: sql<Date>`now()`, last_used_at: sql<Date>`now()`, updated_at: sql<Date>`now()` };
    const about = { task_id: task.id, board_id: task.board_id, host_id, branch: workBranch(task.id, task.title) };
    const row = await this.transactions
      .kysely<AgentDB>()
      .insertInto('workspaces')
      .values({ ...about, repository_url, base_commit, state: 'PREPARING', ...times })
      .onConflict((conflict) =>
        conflict
          .column('task_id')
          .doUpdateSet({ host_id, state: 'PREPARING', removed_at: null, last_used_at: sql<Date>`now()` })
          .where('workspaces.state', '<>', 'REMOVING')
          .where(NO_LIVE_AGENT),
      )
      .returning(['task_id', 'disk_limit_bytes'])
      .executeTakeFirst();
    if (row) return { task_id: row.task_id, disk_limit_bytes: row.disk_limit_bytes ?? null };
    if ((await this.find(task.id))?.state !== 'REMOVING') throw runLive();
    throw new DomainError('conflict', 'workspace.removing', 'The workspace is being removed. Try again in a moment.');
  }

  /** What is there is removed, unless it is the very thing that is wanted, or has changes. */
  private async clear(there: WorkspaceRow, { tree_sha }: RescueRow, actor: Actor): Promise<void> {
    await this.workspaces.requireStill(there.task_id);
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const now = await this.workspaces.with(there, async (tree) => {
      const likeness = await this.trees.resembles(tree, tree_sha, signal);
      return likeness === 'other' && (await this.trees.isUnchanged(tree, signal)) ? 'unchanged' : likeness;
    });
    if (now === 'other') throw hasChanges();
    if (now !== 'unchanged') return;
    // Commits that are nowhere else are rescued even so; what can't be is as good as a change.
    const wish = { reason: 'requested' as const, actor, gives_up: false };
    await this.rescuer.removeHeld(there.task_id, wish).catch((error: unknown) => {
      throw error instanceof DomainError && error.code === 'workspace.kept' ? hasChanges() : error;
    });
  }

  /** Refuses at once where it would have to wait long for the task's lock. @throws DomainError `run.live`, `workspace.removing` */
  async refuseBusy(taskId: string): Promise<void> {
    this.rescuer.requireIdle(taskId);
    await this.workspaces.requireStill(taskId);
  }

  private find(taskId: string): Promise<WorkspaceRow | undefined> {
    return this.transactions
      .kysely<AgentDB>()
      .selectFrom('workspaces')
      .selectAll()
      .where('task_id', '=', taskId)
      .executeTakeFirst();
  }
}
