import { sql } from 'kysely';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { Changes } from '../domain/changes.js';
import type { OverLimit } from '../domain/column.js';
import { Task } from '../domain/task.entity.js';
import type { TaskDB } from './task-db.js';
import type { Changed } from './task-history.js';

/** A task that is changed by its verbs, but written by {@link saveDetached} instead of the ORM. */
export interface Detached {
  task: Task;
  changes: Changes;
  over?: OverLimit | null;
}

/** Locked tasks for a change of many at once: the ORM would take a second to write five hundred. */
export function loadDetached(tx: Tx, ids: string[]): Promise<Task[]> {
  return tx.em.find(Task, { id: { $in: ids } }, { disableIdentityMap: true });
}

/** Writes what the verbs of state and archive have changed, in one statement; returns the changed ones as they are now. */
export async function saveDetached(tx: Tx, all: readonly Detached[], now: Date): Promise<Changed[]> {
  const changed = all.filter(({ changes }) => Object.keys(changes).length > 0);
  if (changed.length === 0) return [];
  const column = <T>(valueOf: (task: Task) => T) => changed.map(({ task }) => valueOf(task));
  const { rows } = await sql<{ id: string; version: number }>`
    update tasks t
    set state = v.state, started_at = v.started_at, completed_at = v.completed_at, archived_at = v.archived_at,
      settled_run_id = v.settled_run_id, held_by_run_id = v.held_by_run_id,
      version = t.version + 1, updated_at = ${now}
    from unnest(
      ${column(({ id }) => id)}::uuid[], ${column(({ state }) => state)}::text[],
      ${column(({ started_at }) => started_at ?? null)}::timestamptz[],
      ${column(({ completed_at }) => completed_at ?? null)}::timestamptz[],
      ${column(({ archived_at }) => archived_at ?? null)}::timestamptz[],
      ${column(({ settled_run_id }) => settled_run_id ?? null)}::uuid[],
      ${column(({ held_by_run_id }) => held_by_run_id ?? null)}::uuid[]
    ) v (id, state, started_at, completed_at, archived_at, settled_run_id, held_by_run_id)
    where t.id = v.id
    returning t.id, t.version`.execute(tx.kysely<TaskDB>());
  const versions = new Map(rows.map(({ id, version }) => [id, version]));
  return changed.map(({ task: { id, board_id, agent_type, version }, changes, over = null }) => {
    return { task: { id, board_id, agent_type, version: versions.get(id) ?? version }, changes, over };
  });
}
