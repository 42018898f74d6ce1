import { defineEntity, p } from '@mikro-orm/postgresql';

export const TaskDependencySchema = defineEntity({
  name: 'TaskDependency',
  tableName: 'task_dependencies',
  properties: {
    task_id: p.uuid().primary(),
    /** A task of the same board that has to be COMPLETED before `task_id` is started. */
    depends_on_id: p.uuid().primary(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [{ name: 'task_dependencies_self_check', expression: 'task_id <> depends_on_id' }],
});

/** One task waits for another. There are never cycles. */
export class TaskDependency extends TaskDependencySchema.class {}
TaskDependencySchema.setClass(TaskDependency);
