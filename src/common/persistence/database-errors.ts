/** What `pg` says of connections that are gone; it gives these no code. */
const CONNECTION_GONE =
  /connection (terminated|ended|error)|not queryable|timeout exceeded when trying to connect|query read timeout|server closed/i;

/**
 * SQLSTATEs of a database that is away or busy: classes 08, 40, 53, 57 and 58 (its disk or system has failed), a session
 * that was ended as we stood still in a transaction (25P03), and a server that takes no changes: one that stands by,
 * until it takes over or its address names the one that has (25006).
 */
const AWAY_STATE = /^(?:(?:08|40|53|57|58)[0-9A-Z]{3}|25P03|25006)$/;
/** What the system says where no connection comes about, or where one breaks. */
const AWAY_ERRNO = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/;
/** What was sent is at fault: the same again is refused again. Data, cardinality, constraints, and the server's limits. */
const REFUSED_STATE = /^(?:21|22|23|54)[0-9A-Z]{3}$/;

/** The database is away or busy, not wrong: waiting helps. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  if (AWAY_STATE.test(code) || AWAY_ERRNO.test(code)) return true;
  return CONNECTION_GONE.test(error.message);
}

/** The database refuses what it was given, and always will (SQLSTATE classes 21, 22, 23 and 54). */
export function isRefused(error: unknown): boolean {
  return error instanceof Error && REFUSED_STATE.test(codeOf(error));
}

function codeOf(error: Error): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** Name of the constraint that a statement has violated (SQLSTATE class 23); undefined for any other error. */
export function violatedConstraint(error: unknown): string | undefined {
  const { code, constraint } = (error ?? {}) as { code?: unknown; constraint?: unknown };
  return typeof code === 'string' && code.startsWith('23') && typeof constraint === 'string' ? constraint : undefined;
}
