import { sql, type Kysely } from 'kysely';
import type { RunDB } from './run-rows.js';

/** A queued run, and whether it is marked as one that waits for other tasks. */
export interface Marked {
  id: string;
  waits_for_tasks: boolean;
}

/**
 * Turns the marks of these runs over, as far as they are queued still and nobody has done it meanwhile. In the order of
 * the ids, so that two who mark the same runs wait for each other instead of locking up. Who may claim is told.
 */
export async function turnMarks(db: Kysely<RunDB>, runs: readonly Marked[]): Promise<void> {
  for (const waits of [true, false]) {
    const ids = runs.filter((run) => run.waits_for_tasks !== waits).map(({ id }) => id);
    if (ids.length === 0) continue;
    await db
      .updateTable('runs')
      .set({ waits_for_tasks: waits, version: sql<number>`version + 1`, updated_at: sql<Date>`now()` })
      .where('id', 'in', (query) =>
        query
          .selectFrom('runs')
          .select('id')
          .where('id', '=', sql<string>`any(${ids}::uuid[])`)
          .where('state', '=', 'QUEUED')
          .where('waits_for_tasks', '=', !waits)
          .orderBy('id')
          .forNoKeyUpdate(),
      )
      .execute();
    if (!waits) await sql`select pg_notify('kandev_runs', '')`.execute(db);
  }
}
