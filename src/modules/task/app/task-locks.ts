import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { notFound } from '../../../common/errors/domain-error.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { Task } from '../domain/task.entity.js';
import { authorizeBoard, visibleTasks, type Hold } from './board-access.js';
import type { TaskDB } from './task-db.js';

/** As in board-access.ts. */
const LOCKS = {
  keep: sql`for key share`,
  change: sql`for no key update`,
  delete: sql`for update`,
} as const satisfies Record<Hold, unknown>;

/**
 * Locks the board of a task that the actor may change, and returns the board's id. Whoever adds or takes away
 * dependencies holds this: so nobody else does on this board, and two halves of a cycle are never written at once.
 * @throws DomainError `task.not_found`, `board.forbidden`
 */
export async function lockBoardOf(tx: Tx, actor: Actor, task_id: string): Promise<string> {
  const db = tx.kysely<TaskDB>();
  const task = await visibleTasks(db, actor).select('t.board_id').where('t.id', '=', task_id).executeTakeFirst();
  if (!task) throw notFound('task');
  await authorizeBoard(db, actor, task.board_id, 'write', 'change');
  return task.board_id;
}

/**
 * Locks tasks of a board, and returns the ids of those that exist. Always in the order of the ids, as everybody does
 * who locks several: then they wait for each other instead of locking each other up.
 */
export async function lockTasks(tx: Tx, board_id: string, ids: string[], hold: Hold): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    select id from tasks where board_id = ${board_id} and id = any(${ids}::uuid[])
    order by id ${LOCKS[hold]}`.execute(tx.kysely<TaskDB>());
  return new Set(rows.map(({ id }) => id));
}

/** Tasks by their ids. */
export async function loadTasks(tx: Tx, ids: Iterable<string>): Promise<Map<string, Task>> {
  const tasks = await tx.em.find(Task, { id: { $in: [...ids] } });
  return new Map(tasks.map((task) => [task.id, task]));
}
