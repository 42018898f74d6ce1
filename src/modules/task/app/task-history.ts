import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import type { DomainEvent } from '../../../common/bus/contracts.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { TaskCreatedEvent, TaskStateChangedEvent, TaskUpdatedEvent } from '../contracts/task.events.js';
import type { TaskState } from '../contracts/task.types.js';
import type { Changes } from '../domain/changes.js';
import type { OverLimit } from '../domain/column.js';
import type { TaskEvent } from '../domain/task-event.entity.js';
import type { Task } from '../domain/task.entity.js';
import type { TaskDB } from './task-db.js';

/** Who changed a task, and why. */
export interface Cause {
  actor: Actor;
  reason?: string | null;
  run_id?: string | null;
}

/** A task and what became different of it. */
export interface Changed {
  task: Pick<Task, 'id' | 'version' | 'board_id' | 'agent_type'>;
  changes: Changes;
  /** It was moved into a full column by force. */
  over?: OverLimit | null;
}

/** A line of the history, and the event that tells of it. */
interface Line {
  event: DomainEvent<{ actor_id: string | null }>;
  line: Pick<TaskEvent, 'old_state' | 'new_state' | 'metadata'>;
}

/** Writes a new task with the first line of its history, and tells of it. */
export async function saveCreated(tx: Tx, task: Task, { actor }: Cause, auto_start = false): Promise<void> {
  await tx.em.flush();
  const data = { board_id: task.board_id, actor_id: actor.user_id, auto_start };
  const event = new TaskCreatedEvent(task.id, task.version, data);
  await write(tx, [{ event, line: { old_state: null, new_state: task.state, metadata: null } }]);
}

/** Writes a changed task with a line of its history, and tells of it; nothing when nothing has changed. */
export async function saveChanged(
  tx: Tx,
  { task, changes, over = null }: Changed & { task: Task },
  cause: Cause,
): Promise<void> {
  if (Object.keys(changes).length === 0) return;
  await tx.em.flush();
  await tellChanged(tx, [{ task, changes, over }], cause);
}

/** The lines and events of changes that are written already: however many, in few statements. */
export async function tellChanged(tx: Tx, changed: readonly Changed[], cause: Cause): Promise<void> {
  await write(
    tx,
    changed.map((one) => lineOf(one, cause)),
  );
}

function lineOf({ task, changes: { state, ...fields }, over = null }: Changed, cause: Cause): Line {
  const { id, version, board_id, agent_type = null } = task;
  const data = { board_id, actor_id: cause.actor.user_id };
  const metadata = { ...historyOf(fields, cause), ...(over && { over_wip_limit: over }) };
  const noted = Object.keys(metadata).length > 0 ? metadata : null;
  if (!state) {
    const event = new TaskUpdatedEvent(id, version, { ...data, fields: Object.keys(fields) });
    return { event, line: { old_state: null, new_state: null, metadata: noted } };
  }
  const [old_state, new_state] = [state.from as TaskState, state.to as TaskState];
  const { run_id = null } = cause;
  const event = new TaskStateChangedEvent(id, version, { ...data, old_state, new_state, agent_type, run_id });
  return { event, line: { old_state, new_state, metadata: noted } };
}

function historyOf(changes: Changes, { reason, run_id }: Cause): Record<string, unknown> {
  return {
    ...(reason ? { reason } : {}),
    ...(run_id ? { run_id } : {}),
    ...(Object.keys(changes).length > 0 ? { changes } : {}),
  };
}

/** Rows in one INSERT: 7 values each, and a statement takes at most 65,535. */
const LINES_PER_INSERT = 1_000;

async function write(tx: Tx, lines: readonly Line[]): Promise<void> {
  for (let start = 0; start < lines.length; start += LINES_PER_INSERT) {
    const rows = lines.slice(start, start + LINES_PER_INSERT).map(({ event, line }) => ({
      id: sql<number>`default`,
      task_id: event.aggregate_id,
      event_type: event.topic,
      created_by: event.data.actor_id,
      created_at: sql<Date>`default`,
      ...line,
    }));
    await tx.kysely<TaskDB>().insertInto('task_events').values(rows).execute();
  }
  await tx.emitAll(lines.map(({ event }) => event));
}
