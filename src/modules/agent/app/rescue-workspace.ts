import { Inject, Injectable, Logger } from '@nestjs/common';
import { sql } from 'kysely';
import { v5 as uuidv5 } from 'uuid';
import { AuditLog } from '../../../common/audit/audit-log.js';
import { SYSTEM, type Actor } from '../../../common/auth/actor.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { RescueReason } from '../domain/rescue.entity.js';
import { TaskDisks } from '../domain/task-disks.js';
import { losesWork, WorkTrees, type Rescued } from '../domain/work-trees.js';
import type { AgentDB, WorkspaceRow } from './agent-rows.js';
import { TaskLocks } from './task-locks.js';
import { busyOr, NO_LIVE_AGENT, noWorkspace, runLive, workTreeOf } from './workspace-access.js';

/** Names the rescues of workspaces: the same again after a kill. */
const RESCUES = '7b1f0c1e-3a5c-5b64-9f43-6a1f4f6a2c11';
const HOURS = 3_600_000;

/** Why a workspace goes, and who wants it. */
export interface RemovalWish {
  reason: RescueReason;
  actor: Actor;
  /** What can't be kept may go, as long as it is named: somebody has asked for just that. Else the workspace stays. */
  gives_up: boolean;
}

/** A removal that a kill has cut off, or that nobody has asked for, gives up nothing. */
const RESUMED: RemovalWish = { reason: 'requested', actor: SYSTEM, gives_up: false };

/**
 * Removes workspaces, and keeps what is only there first. The order makes a kill harmless wherever it strikes: the row
 * says REMOVING, so no attempt begins; the work goes under a ref; the rescue's row is written, together with the word
 * that all is safe (`removed_at`); the disk goes; the row says REMOVED. Until all is safe, nothing is removed.
 */
@Injectable()
export class WorkspaceRescuer {
  private readonly logger = new Logger(WorkspaceRescuer.name);
  private readonly busy = new Set<string>();

  // oxlint-disable-next-line max-params -- rows, files, disks, the lock on them, and the record
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
    private readonly disks: TaskDisks,
    private readonly trees: WorkTrees,
    private readonly locks: TaskLocks,
  ) {}

  /**
   * Removes a workspace; goes on with a removal that was cut off. Returns the id of the rescue, null where there was
   * nothing to rescue.
   * @throws DomainError `workspace.not_found`, `run.live`, `workspace.removing`, `workspace.rescue_failed`,
   *   `workspace.kept`, `workspace.busy`
   */
  async remove(taskId: string, wish: RemovalWish, signal = AbortSignal.timeout(HOURS)): Promise<string | null> {
    this.requireIdle(taskId);
    await this.refuseLive(taskId); // nobody waits for an attempt that is getting ready
    return this.locks.exclusively(taskId, async () => this.removeHeld(taskId, wish, signal));
  }

  /** Its removal is not under way. @throws DomainError `workspace.removing` */
  requireIdle(taskId: string): void {
    if (this.busy.has(taskId)) throw removing();
  }

  /** The same for who has the task's lock. */
  async removeHeld(taskId: string, wish: RemovalWish, signal = AbortSignal.timeout(HOURS)): Promise<string | null> {
    return this.finish(taskId, () => this.claim(taskId), wish, signal);
  }

  /**
   * For an attempt, which has the task's lock, and may be live itself: no agent is let into a workspace that is
   * REMOVING, so what a kill has cut off is finished first. It may come to stay as well: look at the row again.
   * @throws DomainError `workspace.rescue_failed`, `workspace.kept`, `workspace.busy`
   */
  async resume(row: WorkspaceRow): Promise<void> {
    await this.finish(row.task_id, () => Promise.resolve(row), RESUMED, AbortSignal.timeout(HOURS));
  }

  private async finish(
    taskId: string,
    claim: () => Promise<WorkspaceRow>,
    wish: RemovalWish,
    signal: AbortSignal,
  ): Promise<string | null> {
    this.busy.add(taskId);
    try {
      const row = await claim();
      faultPoint('workspace.removing');
      const rescueId = row.removed_at ? null : await this.save(row, wish, signal);
      faultPoint('rescue.recorded');
      await this.disks.remove(taskId);
      faultPoint('workspace.disk_removed');
      await this.trees.forget({ task_id: taskId, repository_url: row.repository_url ?? null });
      const gone = { state: 'REMOVED' as const, size_bytes: null, measured_at: null, updated_at: new Date() };
      await this.update(taskId, gone);
      return rescueId;
    } catch (error) {
      throw busyOr(error);
    } finally {
      this.busy.delete(taskId);
    }
  }

  private async refuseLive(taskId: string): Promise<void> {
    const rows = this.transactions.kysely<AgentDB>().selectFrom('workspaces').select('task_id');
    const row = await rows
      .where('task_id', '=', taskId)
      .where(sql<boolean>`not (${NO_LIVE_AGENT})`)
      .executeTakeFirst();
    if (row) throw runLive();
  }

  /** From here on no attempt begins in it. */
  private async claim(taskId: string): Promise<WorkspaceRow> {
    const db = this.transactions.kysely<AgentDB>();
    const row = await db
      .updateTable('workspaces')
      .set({ state: 'REMOVING', updated_at: new Date() })
      .where('task_id', '=', taskId)
      .where('host_id', '=', this.config.host_id)
      .where('state', '<>', 'REMOVED')
      .where(NO_LIVE_AGENT)
      .returningAll()
      .executeTakeFirst();
    if (row) return row;
    const there = await db
      .selectFrom('workspaces')
      .select(['state', 'host_id'])
      .where('task_id', '=', taskId)
      .executeTakeFirst();
    if (!there || there.state === 'REMOVED' || there.host_id !== this.config.host_id) throw noWorkspace();
    throw runLive();
  }

  private async save(row: WorkspaceRow, wish: RemovalWish, signal: AbortSignal): Promise<string | null> {
    const { task_id } = row;
    const { reason } = wish;
    try {
      const id = await this.rescueId(task_id);
      const rescued = await this.disks.use(task_id, (disk) => this.trees.rescue(workTreeOf(row, disk), id, signal));
      if (rescued && !wish.gives_up && losesWork(rescued.left_out)) throw keptWhole(rescued.left_out.length);
      faultPoint('rescue.kept');
      await this.record(row, rescued ? { ...rescued, id } : null, wish);
      return rescued ? id : null;
    } catch (error) {
      // It stays as it was, for whoever wants to use it or look into it; the next try may do better.
      if (reason !== 'task_deleted' && !signal.aborted)
        await this.update(task_id, { state: 'READY', updated_at: new Date() });
      if (error instanceof DomainError) throw error;
      this.logger.error({ err: error, task_id }, 'what is in a workspace could not be saved, so it stays');
      const text =
        'What is in the workspace could not be saved, so it was not removed. The log of the server tells why.';
      throw new DomainError('unavailable', 'workspace.rescue_failed', text);
    }
  }

  /** One for each time that the task's workspace went: the row of the one before is there by then. */
  private async rescueId(taskId: string): Promise<string> {
    const { count } = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('rescues')
      .select((by) => by.fn.countAll<number>().as('count'))
      .where('task_id', '=', taskId)
      .executeTakeFirstOrThrow();
    return uuidv5(`${taskId} ${count}`, RESCUES);
  }

  private async record(row: WorkspaceRow, rescued: (Rescued & { id: string }) | null, { reason, actor }: RemovalWish) {
    const { task_id, board_id, host_id, repository_url, base_commit } = row;
    await this.transactions.run(async (tx) => {
      const db = tx.kysely<AgentDB>();
      if (rescued) {
        const { id, left_out, ...kept } = rescued;
        const about = { task_id, board_id, host_id, repository_url, base_commit };
        await db
          .insertInto('rescues')
          .values({
            ...{ id, ...about, ...kept, reason, requested_by: actor.user_id, restored_at: null },
            left_out: sql`${JSON.stringify(left_out)}::jsonb`,
            created_at: sql<Date>`now()`,
          })
          .execute();
      }
      const rows = db.updateTable('workspaces').set({ removed_at: new Date() });
      await rows.where('task_id', '=', task_id).where('host_id', '=', host_id).execute();
      const data = { reason, rescue_id: rescued?.id ?? null };
      const subject = { type: 'task', id: task_id };
      await this.audit.record(
        { action: 'workspace.removed', actor: actor === SYSTEM ? null : actor, subject, data },
        tx,
      );
    });
  }

  private async update(taskId: string, change: Partial<WorkspaceRow>): Promise<void> {
    const rows = this.transactions.kysely<AgentDB>().updateTable('workspaces').set(change);
    // While this host was cut off another one may have begun anew: that workspace is not ours to write of.
    await rows.where('task_id', '=', taskId).where('host_id', '=', this.config.host_id).execute();
  }
}

function keptWhole(count: number): DomainError {
  const text = `The workspace has files or commits that a rescue can not keep (${count} things left out), so it stays until somebody removes it.`;
  return new DomainError('conflict', 'workspace.kept', text);
}

function removing(): DomainError {
  const text = 'The workspace is being removed; what is in it is kept.';
  return new DomainError('conflict', 'workspace.removing', text);
}
