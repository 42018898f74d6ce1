import { sql, type SelectQueryBuilder } from 'kysely';
import { decodePosition, type Position } from '../validation/cursor.js';
import { newestFirst, type Page, type PageRequest } from '../validation/page.js';

/**
 * A page of rows, newest first, by `created_at` and `id`, and how many there are in all. `rows` is the query without
 * any columns, `columns` adds them.
 * @throws DomainError `request.invalid` for a cursor that is none
 */
export async function newestPage<DB, TB extends keyof DB, Row, T extends Position>(
  rows: SelectQueryBuilder<DB, TB, object>,
  columns: (query: SelectQueryBuilder<DB, TB, object>) => SelectQueryBuilder<DB, TB, Row>,
  page: PageRequest,
  toRecord: (row: Row) => T,
): Promise<Page<T>> {
  const after = page.cursor === null ? null : decodePosition(page.cursor);
  const wanted = columns(
    after === null ? rows : rows.where(sql<boolean>`(created_at, id) < (${after.created_at}, ${after.id})`),
  );
  const [found, counted] = await Promise.all([
    wanted
      .orderBy(sql`created_at`, 'desc')
      .orderBy(sql`id`, 'desc')
      .offset(page.offset)
      .limit(page.limit + 1)
      .execute(),
    rows.select(sql<number>`count(*)`.as('total')).executeTakeFirstOrThrow() as Promise<{ total: number }>,
  ]);
  return newestFirst(
    found.map((row) => toRecord(row as Row)),
    page,
    counted.total,
  );
}
