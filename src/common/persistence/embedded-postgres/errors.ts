/** The embedded PostgreSQL could not be started or stopped. The message says what to do and never holds the password. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

/** What every failure offers as the way out. */
export const USE_YOUR_OWN = 'To use a PostgreSQL of your own instead, set DATABASE_URL.';

/** True if `error` is a Node system error with one of these codes (`ENOENT`, `EEXIST` …). */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
