import { defineEntity, p } from '@mikro-orm/postgresql';
import type { TaskState } from '../contracts/task.types.js';

export const TaskCountSchema = defineEntity({
  name: 'TaskCount',
  tableName: 'task_counts',
  properties: {
    id: p.bigint('number').primary().autoincrement(),
    board_id: p.uuid(),
    state: p.string().length(50).$type<TaskState>(),
    priority: p.integer(),
    agent_type: p.string().length(100).nullable(),
    archived: p.boolean(),
    /** How many more (or fewer) tasks there are of this kind; the sum over all rows is how many there are. */
    n: p.bigint('number'),
    /** False for what the trigger has written since rows were last merged. */
    merged: p.boolean().default(false),
  },
});

/** Part of the number of a board's tasks; see the trigger `count_tasks`. */
export class TaskCount extends TaskCountSchema.class {}
TaskCountSchema.setClass(TaskCount);
