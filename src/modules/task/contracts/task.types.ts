import type { RetryPolicy } from '../../../common/retries/retry-policy.js';

/** The columns of the board. The table's CHECK lists the same. */
export const TASK_STATES = ['TODO', 'IN_PROGRESS', 'BLOCKED', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** Columns that a board may limit: tasks leave them again. The CHECK of `board_wip_limits` lists the same. */
export const WIP_STATES = ['TODO', 'IN_PROGRESS', 'BLOCKED'] as const satisfies readonly TaskState[];
export type WipState = (typeof WIP_STATES)[number];

/** What a caller needs on a board: `read` for viewers, `write` for editors, `manage` for owners. */
export type BoardPermission = 'read' | 'write' | 'manage';

/** A task as other modules see it. Times are RFC 3339. */
export interface TaskView {
  id: string;
  board_id: string;
  title: string;
  description: string;
  state: TaskState;
  priority: number;
  agent_type: string | null;
  repository_url: string | null;
  branch: string | null;
  /** Seconds of silence after which its agent is ended; null leaves it to the agent type. */
  inactivity_timeout_seconds: number | null;
  /** Seconds that its agent may run, pauses not counted; null leaves it to the agent type. */
  wall_clock_timeout_seconds: number | null;
  /** When its failed attempts are tried again; null leaves it to the agent type. */
  retry_policy: RetryPolicy | null;
  /** Since when it is put away: hidden in lists, not to be changed or started. Null for most. */
  archived_at: string | null;
}
