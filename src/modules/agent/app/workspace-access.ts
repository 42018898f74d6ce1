import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { LIVE_AGENT_STATUSES } from '../domain/agent-state.js';
import { AttemptFailure } from '../domain/outcome.js';
import { TaskDisks, type TaskDisk } from '../domain/task-disks.js';
import type { WorkTree } from '../domain/work-trees.js';
import type { AgentDB, WorkspaceRow } from './agent-rows.js';
import { HostPlaces } from './host-places.js';

/** A task has no workspace (any more). */
export function noWorkspace(): DomainError {
  const text = 'This task has no workspace: it never ran, or its workspace was removed.';
  return new DomainError('not_found', 'workspace.not_found', text);
}

/** An agent works in the workspace. */
export function runLive(): DomainError {
  const text = 'An agent is working in this workspace. Stop or pause its run first.';
  return new DomainError('conflict', 'run.live', text);
}

/** What is there would be overwritten. */
export function hasChanges(): DomainError {
  const text =
    'The task has a workspace with changes. Remove it first (its changes are rescued), then bring this back.';
  return new DomainError('conflict', 'workspace.has_changes', text);
}

/**
 * What reading or writing a workspace has failed with, for whoever asked: where it took too long, or the disk is not
 * to be had just now, another try may do better.
 */
export function busyOr(error: unknown): unknown {
  const isSlow = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
  if (!isSlow && !(error instanceof AttemptFailure)) return error;
  const why = error instanceof AttemptFailure ? error.message : 'It took too long.';
  return new DomainError('unavailable', 'workspace.busy', `The workspace can't be worked with just now. ${why}`);
}

/** Workspaces of tasks for those who work with what is in them. No access checks. */
@Injectable()
export class TaskWorkspaces {
  constructor(
    private readonly hosts: HostPlaces,
    private readonly transactions: Transactions,
    private readonly disks: TaskDisks,
  ) {}

  /** The row, whatever its state. @throws DomainError `workspace.not_found` */
  async row(taskId: string): Promise<WorkspaceRow> {
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('workspaces')
      .selectAll()
      .where('task_id', '=', taskId)
      .executeTakeFirst();
    if (!row) throw noWorkspace();
    return row;
  }

  /** Works with a workspace that is there. @throws DomainError `workspace.not_found`, `workspace.busy`, `host.elsewhere` */
  async with<T>(row: WorkspaceRow, work: (tree: WorkTree, disk: TaskDisk) => Promise<T>): Promise<T> {
    if (row.state !== 'READY') throw noWorkspace();
    await this.hosts.requireHere(row.host_id, 'The workspace of this task');
    const using = this.disks.use(row.task_id, async (disk) => ({ value: await work(workTreeOf(row, disk), disk) }));
    const answer = await using.catch((error: unknown) => {
      throw busyOr(error);
    });
    if (!answer) throw noWorkspace();
    return answer.value;
  }

  /** Nobody is writing there: no agent, or one that is held still. @throws DomainError `run.live` */
  async requireStill(taskId: string): Promise<void> {
    const live = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select('status')
      .where('task_id', '=', taskId)
      .where((by) => by.or([by('status', 'in', LIVE_AGENT_STATUSES), by('left_behind', '=', true)]))
      .where('status', '<>', 'PAUSED')
      .executeTakeFirst();
    if (live) throw runLive();
  }
}

/** A workspace's files as git is asked about them. */
export function workTreeOf(row: WorkspaceRow, disk: TaskDisk): WorkTree {
  return {
    task_id: row.task_id,
    repository_url: row.repository_url ?? null,
    base_commit: row.base_commit ?? null,
    branch_commit: row.branch_commit ?? null,
    pushed_commit: row.pushed_commit ?? null,
    root: disk.workspace,
  };
}

/** True of a workspace in SQL when no attempt of its task is live, and no agent that was left behind may work in it. */
export const NO_LIVE_AGENT = sql<boolean>`not exists (select 1 from agent_instances a
  where a.task_id = workspaces.task_id and (a.status in (${sql.join(LIVE_AGENT_STATUSES)})
    or (a.left_behind and a.host_id is not distinct from workspaces.host_id)))`;

/** Nobody waits longer for an answer about files. */
export const PATIENCE_MS = 10 * 60_000;
