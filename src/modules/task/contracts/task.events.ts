import { DomainEvent } from '../../../common/bus/contracts.js';
import type { TaskState } from './task.types.js';

/** What every task event carries. `actor_id` is null when the server did it. */
export interface TaskEventData {
  board_id: string;
  actor_id: string | null;
}

/** `auto_start`: a run of it is to be queued for the one who made it. */
export class TaskCreatedEvent extends DomainEvent<TaskEventData & { auto_start: boolean }> {
  static readonly topic = 'task.created';
  readonly topic = TaskCreatedEvent.topic;
}

export class TaskUpdatedEvent extends DomainEvent<TaskEventData & { fields: string[] }> {
  static readonly topic = 'task.updated';
  readonly topic = TaskUpdatedEvent.topic;
}

export class TaskStateChangedEvent extends DomainEvent<
  TaskEventData & { old_state: TaskState; new_state: TaskState; agent_type: string | null; run_id: string | null }
> {
  static readonly topic = 'task.state_changed';
  readonly topic = TaskStateChangedEvent.topic;
}

export class TaskDeletedEvent extends DomainEvent<TaskEventData> {
  static readonly topic = 'task.deleted';
  readonly topic = TaskDeletedEvent.topic;
}
