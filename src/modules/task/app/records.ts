import type { Selectable } from 'kysely';
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
  metadata: Record<string, unknown> | null;
  created_by: string | null;
  created_at: string;
}

/** A row, read by SQL or by the ORM: the latter's types let a nullable field be missing. */
type Row<T> = { [K in keyof T]: null extends T[K] ? T[K] | undefined : T[K] };

export type BoardRow = Row<Selectable<TaskDB['boards']>>;
export type TaskRow = Row<Omit<Selectable<TaskDB['tasks']>, 'settled_run_id' | 'dispatched_run_id'>>;

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
  return { id, board_id, title, description, state, priority, agent_type, repository_url, branch };
}

/** The record of a row. */
export function toTaskRecord(row: TaskRow): TaskRecord {
  const { assigned_agent_id = null, metadata, created_by, version, started_at, completed_at } = row;
  return {
    ...toTaskView(row),
    ...{ assigned_agent_id, metadata, created_by, version },
    created_at: toTimestamp(row.created_at),
    updated_at: toTimestamp(row.updated_at),
    started_at: toTimestamp(started_at),
    completed_at: toTimestamp(completed_at),
  };
}

/** The record of a history row. */
export function toTaskEventRecord(row: Selectable<TaskDB['task_events']>): TaskEventRecord {
  return { ...row, created_at: toTimestamp(row.created_at) };
}
