import { Inject } from '@nestjs/common';
import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { TaskView } from '../../task/contracts/task.types.js';
import type { AgentUser } from '../domain/container-runtime.js';
import { TaskDisks, type PreparedDisk } from '../domain/task-disks.js';
import { WorkTrees, type WorkTree } from '../domain/work-trees.js';
import type { AgentDB } from './agent-rows.js';
import { AGENT_USER } from './launch-spec.js';
import { authorizeRescue, toRescueView, type RescueRow, type RescueView } from './rescue.queries.js';
import { RestorePlaces } from './restore-places.js';
import { TaskLocks } from './task-locks.js';
import { busyOr, hasChanges, PATIENCE_MS } from './workspace-access.js';

/**
 * Brings rescued work back into its task's workspace, or (administrators) into that of another task. Again: the same.
 * @throws DomainError `rescue.not_found`, `board.forbidden`, `rescue.forbidden`, `task.not_found`, `rescue.task_deleted`,
 *   `rescue.elsewhere`, `run.live`, `workspace.has_changes`, `workspace.removing`,
 *   `workspace.rescue_failed`, `workspace.busy`
 */
export class RestoreRescueCommand extends Command<RescueView> {
  constructor(
    readonly actor: Actor,
    readonly rescue_id: string,
    /** Another task than the one that it was rescued from. */
    readonly task_id: string | null,
  ) {
    super();
  }
}

@CommandHandler(RestoreRescueCommand)
export class RestoreRescueHandler implements ICommandHandler<RestoreRescueCommand> {
  // oxlint-disable-next-line max-params -- who may, where to, what, and two records of it
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(AGENT_USER) private readonly user: AgentUser,
    private readonly queries: QueryBus,
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
    private readonly places: RestorePlaces,
    private readonly disks: TaskDisks,
    private readonly trees: WorkTrees,
    private readonly locks: TaskLocks,
  ) {}

  async execute(command: RestoreRescueCommand): Promise<RescueView> {
    const rescue = await authorizeRescue(this.transactions, this.queries, command.actor, command.rescue_id, 'write');
    if (rescue.host_id !== this.config.host_id)
      throw new DomainError('conflict', 'rescue.elsewhere', 'This rescue is on another server.');
    const task = await this.target(command, rescue);
    await this.places.refuseBusy(task.id);
    return this.locks
      .exclusively(task.id, () => this.restore(command, rescue, task))
      .catch((error: unknown) => {
        throw busyOr(error);
      });
  }

  private async restore(command: RestoreRescueCommand, rescue: RescueRow, task: TaskView): Promise<RescueView> {
    const tree = await this.places.claim(task, rescue, command.actor);
    faultPoint('restore.begun');
    try {
      const prepared = await this.disks.prepare(task.id, rescue.id, tree.disk_limit_bytes, this.user);
      await this.put(rescue, tree, prepared);
      faultPoint('restore.in_place');
      return await this.record(command, rescue, task.id, prepared);
    } finally {
      await this.disks.release(task.id, rescue.id);
    }
  }

  private async target({ actor, task_id }: RestoreRescueCommand, rescue: RescueRow): Promise<TaskView> {
    if (task_id !== null && task_id !== rescue.task_id) {
      if (actor.role === 'admin') return this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
      throw new DomainError('forbidden', 'rescue.forbidden', 'Only administrators may give it to another task.');
    }
    return this.queries.execute(new GetTaskQuery(actor, rescue.task_id, 'write')).catch((error: unknown) => {
      if (!(error instanceof DomainError) || error.kind !== 'not_found') throw error;
      const text =
        'The task of this rescue was deleted. An administrator can bring it back into another task: give its task_id.';
      throw new DomainError('conflict', 'rescue.task_deleted', text);
    });
  }

  private async put(rescue: RescueRow, { task_id }: { task_id: string }, { disk }: PreparedDisk): Promise<void> {
    const { ref, tree_sha } = rescue;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const about = { task_id, repository_url: rescue.repository_url ?? null, base_commit: rescue.base_commit ?? null };
    const tree: WorkTree = { ...about, branch_commit: null, pushed_commit: null, root: disk.workspace };
    const now = await this.trees.resembles(tree, tree_sha, signal);
    if (now === 'other') throw hasChanges();
    if (now === 'empty') await this.trees.restore({ ...about, ref }, disk, this.user, signal);
  }

  private record(
    { actor, rescue_id }: RestoreRescueCommand,
    { repository_url, base_commit }: RescueRow,
    taskId: string,
    { method }: PreparedDisk,
  ): Promise<RescueView> {
    return this.transactions.run(async (tx) => {
      const db = tx.kysely<AgentDB>();
      const now = new Date();
      const place = { repository_url, base_commit, disk_method: method, measured_at: null, removed_at: null };
      const mine = await db
        .updateTable('workspaces')
        .set({ ...place, state: 'READY', last_used_at: now, updated_at: now })
        .where('task_id', '=', taskId)
        .where('host_id', '=', this.config.host_id)
        .where('state', '=', 'PREPARING')
        .returning('task_id')
        .executeTakeFirst();
      if (!mine) throw taskGone();
      const row = await db
        .updateTable('rescues')
        .set({ restored_at: now })
        .where('id', '=', rescue_id)
        .returningAll()
        .executeTakeFirstOrThrow();
      const subject = { type: 'rescue', id: rescue_id };
      await this.audit.record({ action: 'rescue.restored', actor, subject, data: { task_id: taskId } }, tx);
      return toRescueView(row);
    });
  }
}

/** Only a task's deletion takes a workspace from who has the lock; what was brought back is rescued with it. */
function taskGone(): DomainError {
  const text = 'The task was deleted meanwhile; its workspace is being removed, and what is in it is kept.';
  return new DomainError('conflict', 'workspace.removing', text);
}
