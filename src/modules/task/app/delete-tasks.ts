import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { TaskDeletedEvent } from '../contracts/task.events.js';
import { dependenciesOf } from './task-dependencies.js';
import { tellChanged, type Changed } from './task-history.js';
import { lockTasks } from './task-locks.js';
import type { TaskDB } from './task-db.js';

/**
 * Locks the tasks of a board that are to be deleted, together with those that depend on them; returns both. The board
 * is locked. A run that is just being started is waited for; a later one waits for us, and finds no task.
 */
export async function lockForDeletion(
  tx: Tx,
  board_id: string,
  ids: string[],
): Promise<{ found: string[]; dependents: string[] }> {
  const links = tx.kysely<TaskDB>().selectFrom('task_dependencies').select('task_id').distinct();
  const rows = await links.where('depends_on_id', '=', sql<string>`any(${ids}::uuid[])`).execute();
  const doomed = new Set(ids);
  const dependents = rows.map(({ task_id }) => task_id).filter((id) => !doomed.has(id));
  const locked = await lockTasks(tx, board_id, [...ids, ...dependents], 'delete');
  // What is on another board is not locked, and none of the caller's business.
  return { found: ids.filter((id) => locked.has(id)), dependents: dependents.filter((id) => locked.has(id)) };
}

/**
 * Deletes locked tasks with all that belongs to them. Who depends on them no longer does, which is a change of theirs.
 * @throws an error of the constraint `tasks_no_live_run`
 */
export async function deleteTasks(tx: Tx, actor: Actor, ids: string[], dependents: string[]): Promise<void> {
  const unlinked = await unlink(tx, ids, dependents);
  const gone = tx
    .kysely<TaskDB>()
    .deleteFrom('tasks')
    .where('id', '=', sql<string>`any(${ids}::uuid[])`);
  const rows = await gone.returning(['id', 'version', 'board_id']).execute();
  await tellChanged(tx, unlinked, { actor });
  await tx.emitAll(
    rows.map(({ id, version, board_id }) => {
      return new TaskDeletedEvent(id, version + 1, { board_id, actor_id: actor.user_id });
    }),
  );
}

async function unlink(tx: Tx, ids: string[], dependents: string[]): Promise<Changed[]> {
  if (dependents.length === 0) return [];
  const gone = new Set(ids);
  const before = await dependenciesOf(tx, dependents);
  const links = tx.kysely<TaskDB>().deleteFrom('task_dependencies');
  await links.where('depends_on_id', '=', sql<string>`any(${ids}::uuid[])`).execute();
  const touched = await tx
    .kysely<TaskDB>()
    .updateTable('tasks')
    .set({ version: sql<number>`version + 1`, updated_at: new Date() })
    .where('id', '=', sql<string>`any(${dependents}::uuid[])`)
    .returning(['id', 'version', 'board_id', 'agent_type'])
    .execute();
  return touched.map((task) => {
    const from = before.get(task.id) ?? [];
    return { task, changes: { depends_on: { from, to: from.filter((id) => !gone.has(id)) } } };
  });
}
