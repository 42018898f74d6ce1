/** What `pg` says of connections that are gone; it gives these no code. */
const CONNECTION_GONE =
  /connection (terminated|ended|error)|not queryable|timeout exceeded when trying to connect|server closed/i;

/**
 * The database is away or busy, not wrong: waiting helps. SQLSTATE classes 08, 40, 53, 57, a session that was ended as
 * we stood still in a transaction (25P03), or no answer at all.
 */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (
    typeof code === 'string' &&
    (/^(08|40|53|57|25P03)/.test(code) || /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND)/.test(code))
  )
    return true;
  return CONNECTION_GONE.test(error.message);
}

/** Name of the constraint that a statement has violated (SQLSTATE class 23); undefined for any other error. */
export function violatedConstraint(error: unknown): string | undefined {
  const { code, constraint } = (error ?? {}) as { code?: unknown; constraint?: unknown };
  return typeof code === 'string' && code.startsWith('23') && typeof constraint === 'string' ? constraint : undefined;
}
