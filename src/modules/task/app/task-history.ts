import type { Actor } from '../../../common/auth/actor.js';
import type { DomainEvent } from '../../../common/bus/contracts.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { TaskCreatedEvent, TaskStateChangedEvent, TaskUpdatedEvent } from '../contracts/task.events.js';
import type { TaskState } from '../contracts/task.types.js';
import type { Changes } from '../domain/changes.js';
import { TaskEvent } from '../domain/task-event.entity.js';
import type { Task } from '../domain/task.entity.js';

/** Who changed a task, and why. */
export interface Cause {
  actor: Actor;
  reason?: string | null;
  run_id?: string | null;
}

/** Writes a new task with the first line of its history, and tells of it. */
export async function saveCreated(tx: Tx, task: Task, { actor }: Cause): Promise<void> {
  await tx.em.flush();
  const event = new TaskCreatedEvent(task.id, task.version, {
    board_id: task.board_id,
    actor_id: actor.user_id,
    auto_start: false,
  });
  write(tx, event, { old_state: null, new_state: task.state, metadata: null });
}

/** Writes a changed task with a line of its history, and tells of it; nothing when nothing has changed. */
export async function saveChanged(tx: Tx, task: Task, { state, ...fields }: Changes, cause: Cause): Promise<void> {
  if (!state && Object.keys(fields).length === 0) return;
  await tx.em.flush();
  const { id, version, board_id, agent_type = null } = task;
  const data = { board_id, actor_id: cause.actor.user_id };
  const metadata = historyOf(fields, cause);
  if (!state) {
    const event = new TaskUpdatedEvent(id, version, { ...data, fields: Object.keys(fields) });
    write(tx, event, { old_state: null, new_state: null, metadata });
    return;
  }
  const [old_state, new_state] = [state.from as TaskState, state.to as TaskState];
  const { run_id = null } = cause;
  write(tx, new TaskStateChangedEvent(id, version, { ...data, old_state, new_state, agent_type, run_id }), {
    old_state,
    new_state,
    metadata,
  });
}

function historyOf(changes: Changes, { reason, run_id }: Cause): Record<string, unknown> | null {
  const metadata = {
    ...(reason ? { reason } : {}),
    ...(run_id ? { run_id } : {}),
    ...(Object.keys(changes).length > 0 ? { changes } : {}),
  };
  return Object.keys(metadata).length > 0 ? metadata : null;
}

function write(
  tx: Tx,
  event: DomainEvent<{ actor_id: string | null }>,
  line: Pick<TaskEvent, 'old_state' | 'new_state' | 'metadata'>,
): void {
  const { aggregate_id: task_id, topic: event_type, data } = event;
  tx.em.create(TaskEvent, { task_id, event_type, created_by: data.actor_id, ...line }, { persist: true });
  tx.emit(event);
}
