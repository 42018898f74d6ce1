import { defineEntity, p } from '@mikro-orm/postgresql';
import type { TaskState } from '../contracts/task.types.js';

export const TaskEventSchema = defineEntity({
  name: 'TaskEvent',
  tableName: 'task_events',
  properties: {
    id: p.bigint('number').primary().autoincrement(),
    task_id: p.uuid(),
    /** `task.created`, `task.updated`, `task.state_changed`. */
    event_type: p.string().length(100),
    old_state: p.string().length(50).$type<TaskState>().nullable(),
    new_state: p.string().length(50).$type<TaskState>().nullable(),
    /** `reason`, `run_id`, and `changes: {field: {from, to}}`. */
    metadata: p.json<Record<string, unknown>>().nullable(),
    /** `null` when the server did it. */
    created_by: p.uuid().nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** One line of a task's history. */
export class TaskEvent extends TaskEventSchema.class {}
TaskEventSchema.setClass(TaskEvent);
