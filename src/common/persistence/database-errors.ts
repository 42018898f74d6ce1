import { DriverException } from '@mikro-orm/core';

/** The database is away or busy, not wrong: waiting helps. SQLSTATE classes 08, 40, 53, 57, or no answer at all. */
export function isDatabaseAway(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string')
    return error instanceof DriverException && /terminat|timeout|closed/i.test(error.message);
  return /^(08|40|53|57)/.test(code) || /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND)/.test(code);
}

/** Name of the constraint that a statement has violated (SQLSTATE class 23); undefined for any other error. */
export function violatedConstraint(error: unknown): string | undefined {
  const { code, constraint } = (error ?? {}) as { code?: unknown; constraint?: unknown };
  return typeof code === 'string' && code.startsWith('23') && typeof constraint === 'string' ? constraint : undefined;
}
