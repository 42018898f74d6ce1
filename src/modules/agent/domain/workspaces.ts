import type { AgentUser, ProgressReport } from './container-runtime.js';

/** What is to be checked out for a task. */
export interface Checkout {
  task_id: string;
  /** Null: an empty workspace. */
  repository_url: string | null;
  /** Null: the repository's default branch. */
  branch: string | null;
}

/** Checked-out repositories on the host, one per task; runs of a task share it one after the other. */
export abstract class Workspaces {
  abstract path(taskId: string): string;
  /**
   * Clones into the task's workspace, unless it is there already: work of earlier runs is never overwritten.
   * A kill in the middle leaves nothing that a later call would trust.
   * @throws AttemptFailure `workspace.clone_failed`, `workspace.repository_refused`
   */
  abstract prepare(checkout: Checkout, user: AgentUser, report: ProgressReport, signal: AbortSignal): Promise<string>;

  /** Clones that have not got as far as being a workspace: under way, or cut off. */
  abstract listUnfinished(): Promise<{ name: string; task_id: string }[]>;
  abstract removeUnfinished(name: string): Promise<void>;
}
