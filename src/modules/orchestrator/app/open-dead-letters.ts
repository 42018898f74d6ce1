import { sql, type ExpressionBuilder, type Kysely } from 'kysely';
import { decodePosition } from '../../../common/validation/cursor.js';
import type { RunDB } from './run-rows.js';

/** Which dead letters are meant; all where nothing is said. */
export interface DeadLetterFilter {
  board_id?: string | undefined;
  agent_type?: string | undefined;
  failure_code?: string | undefined;
}

/** Whether a later run of the task has completed: what failed is done. */
export function isOvertaken(by: ExpressionBuilder<RunDB, 'runs'>) {
  return by.exists(
    by
      .selectFrom('runs as later')
      .select('later.id')
      .whereRef('later.task_id', '=', 'runs.task_id')
      .whereRef('later.queued_at', '>', 'runs.queued_at')
      .where('later.state', '=', 'COMPLETED'),
  );
}

/** The dead letters of these boards that somebody should look at; whoever lists or counts them goes by this. */
export function openLetters(
  db: Kysely<RunDB>,
  boards: string[] | 'all',
  { board_id, agent_type, failure_code }: DeadLetterFilter,
) {
  let found = db
    .selectFrom('runs')
    .where('dead_lettered_at', 'is not', null)
    .where('dismissed_at', 'is', null)
    .where('redriven_run_id', 'is', null)
    .where((by) => by.not(isOvertaken(by)));
  if (boards !== 'all') found = found.where('board_id', '=', sql<string>`any(${boards}::uuid[])`);
  if (board_id !== undefined) found = found.where('board_id', '=', board_id);
  if (agent_type !== undefined) found = found.where('agent_type', '=', agent_type);
  if (failure_code !== undefined) found = found.where('failure_code', '=', failure_code);
  return found;
}

/** Those behind the cursor, newest first; all for null. @throws DomainError `request.invalid` for a cursor that is none */
export function behind(cursor: string | null) {
  if (cursor === null) return sql<boolean>`true`;
  const { created_at, id } = decodePosition(cursor);
  return sql<boolean>`(dead_lettered_at, id) < (${created_at}, ${id})`;
}
