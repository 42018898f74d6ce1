import type { AgentUser, ProgressReport } from './container-runtime.js';
import type { TaskDisk } from './task-disks.js';

/** What is to be checked out for a task. */
export interface Checkout {
  task_id: string;
  /** Null: an empty workspace. */
  repository_url: string | null;
  /** Null: the repository's default branch. */
  branch: string | null;
  /** What the task's own branch is called: `kandev/{short id}-{slug}`. */
  work_branch: string;
  /** Whose credentials git may use: who asked for the run. */
  requested_by: string | null;
}

/** What was checked out. */
export interface CheckedOut {
  /** Null for an empty workspace, and for a repository without a commit. */
  base_commit: string | null;
  /** The branch that was asked for, or the repository's default; null for an empty workspace. */
  base_branch: string | null;
}

/** Checked-out repositories, one per task, on the task's disk; runs of a task share it one after the other. */
export abstract class Workspaces {
  /**
   * Checks out into the disk's workspace, unless it is there already: work of earlier runs is never overwritten.
   * A kill in the middle leaves nothing that a later call would trust; that call goes on with what was fetched.
   * @throws AttemptFailure `workspace.clone_failed`, `workspace.repository_refused`, `workspace.too_large`
   */
  abstract prepare(
    checkout: Checkout,
    disk: TaskDisk,
    user: AgentUser,
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<CheckedOut>;
}
