import { sql, type Selectable } from 'kysely';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { TaskState, TaskView } from '../contracts/task.types.js';
import type { TaskDB } from './task-db.js';

/** A board as its members see it. Times are RFC 3339. */
export interface BoardRecord {
  id: string;
  name: string;
  description: string | null;
  owner_id: string;
  version: number;
  created_at: string;
  updated_at: string;
}

/** A task as the members of its board see it. */
export interface TaskRecord extends TaskView {
  /** Ids of the tasks that have to be COMPLETED before it is started, in order. */
  depends_on: string[];
  assigned_agent_id: string | null;
  metadata: Record<string, unknown>;
  created_by: string;
  version: number;
  created_at: string;
  updated_at: string;
  started_at: string | null;
  completed_at: string | null;
}

/** One line of a task's history. */
export interface TaskEventRecord {
  id: number;
  task_id: string;
  event_type: string;
  old_state: TaskState | null;
  new_state: TaskState | null;
  /** Why, in words for people. */
  reason: string | null;
  /** Before and after of each field that changed, the state among them. */
  changes: Record<string, { from: unknown; to: unknown }> | null;
  metadata: Record<string, unknown> | null;
  created_by: string | null;
  created_by_username: string | null;
  created_at: string;
}

/** A row, read by SQL or by the ORM: the latter's types let a nullable field be missing. */
type Row<T> = { [K in keyof T]: null extends T[K] ? T[K] | undefined : T[K] };

export type BoardRow = Row<Selectable<TaskDB['boards']>>;
export type TaskRow = Row<
  Omit<Selectable<TaskDB['tasks']>, 'settled_run_id' | 'dispatched_run_id' | 'held_by_run_id' | 'held_request_id'>
>;

/** The record of a row. */
export function toBoardRecord({
  id,
  name,
  description,
  owner_id,
  version,
  created_at,
  updated_at,
}: BoardRow): BoardRecord {
  const times = { created_at: toTimestamp(created_at), updated_at: toTimestamp(updated_at) };
  return { id, name, description: description ?? null, owner_id, version, ...times };
}

/** The view of a row for other modules. */
export function toTaskView(row: Pick<TaskRow, keyof TaskView>): TaskView {
  const { id, board_id, title, description, state, priority } = row;
  const { agent_type = null, repository_url = null, branch = null } = row;
  const { inactivity_timeout_seconds = null, wall_clock_timeout_seconds = null, retry_policy = null } = row;
  return {
    ...{ id, board_id, title, description, state, priority, agent_type, repository_url, branch },
    ...{ inactivity_timeout_seconds, wall_clock_timeout_seconds, retry_policy },
    archived_at: toTimestamp(row.archived_at),
  };
}

/** What a task `t` depends on, for the select list of its record. */
export const DEPENDS_ON = sql<string[]>`array(
  select d.depends_on_id from task_dependencies d where d.task_id = t.id order by d.depends_on_id)`;

/** The record of a row that was read together with {@link DEPENDS_ON}. */
export function toTaskRecord(row: TaskRow & { depends_on: string[] }): TaskRecord {
  return taskRecord(row, row.depends_on);
}

/** The record of a task that depends on these. */
export function taskRecord(row: TaskRow, depends_on: string[]): TaskRecord {
  const { assigned_agent_id = null, metadata, created_by, version, started_at, completed_at } = row;
  return {
    ...toTaskView(row),
    ...{ assigned_agent_id, depends_on, metadata, created_by, version },
    created_at: toTimestamp(row.created_at),
    updated_at: toTimestamp(row.updated_at),
    started_at: toTimestamp(started_at),
    completed_at: toTimestamp(completed_at),
  };
}

/** The record of a history row, and the name of the user it tells of. */
export function toTaskEventRecord(
  row: Selectable<TaskDB['task_events']>,
  created_by_username: string | null,
): TaskEventRecord {
  const { id, task_id, event_type, old_state, new_state, metadata, created_by } = row;
  const { reason = null, changes = {} } = (metadata ?? {}) as Partial<Pick<TaskEventRecord, 'reason' | 'changes'>>;
  const moved: object = old_state !== null && new_state !== null ? { state: { from: old_state, to: new_state } } : {};
  const all: TaskEventRecord['changes'] = { ...moved, ...changes };
  return {
    ...{ id, task_id, event_type, old_state, new_state, reason },
    changes: Object.keys(all).length > 0 ? all : null,
    ...{ metadata, created_by, created_by_username, created_at: toTimestamp(row.created_at) },
  };
}
