import { sql } from 'kysely';
import type { Tx } from '../../../common/persistence/transactions.js';
import { WIP_STATES, type TaskState, type WipState } from '../contracts/task.types.js';
import { Column } from '../domain/column.js';
import type { TaskDB } from './task-db.js';

/**
 * A column of a board, for one who is about to enter it. Where it is limited nobody else enters before this transaction
 * ends; who leaves it waits for nobody. Tasks and board are locked before, as everywhere: then nobody locks up.
 */
export async function lockColumn(tx: Tx, board_id: string, state: TaskState): Promise<Column> {
  if (!isLimitable(state)) return new Column(state, null, 0);
  const db = tx.kysely<TaskDB>();
  const limits = db.selectFrom('board_wip_limits').select('max_tasks').where('board_id', '=', board_id);
  const limit = await limits.where('state', '=', state).forNoKeyUpdate().executeTakeFirst();
  if (!limit) return new Column(state, null, 0);
  // A statement of its own: it sees what those before us have done while we waited for the lock.
  const { rows } = await sql<{ tasks: number }>`select ${tasksIn(board_id, state)} as tasks`.execute(db);
  return new Column(state, limit.max_tasks, rows[0]?.tasks ?? 0);
}

/** The same for several, always in the order of their names. */
export async function lockColumns(tx: Tx, board_id: string, states: Iterable<TaskState>): Promise<Map<string, Column>> {
  const columns = new Map<string, Column>();
  for (const state of [...new Set(states)].toSorted()) columns.set(state, await lockColumn(tx, board_id, state));
  return columns;
}

/** How many tasks of a board (an id, or SQL for one) are in a column, without the archived ones: exact at any moment. */
export function tasksIn(board_id: unknown, state: WipState) {
  return sql<number>`(
    select coalesce(sum(c.n), 0)::int from task_counts c
    where c.board_id = ${board_id} and c.state = ${state} and not c.archived)`;
}

function isLimitable(state: TaskState): state is WipState {
  return (WIP_STATES as readonly TaskState[]).includes(state);
}
