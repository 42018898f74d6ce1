import { DriverException, UniqueConstraintViolationException } from '@mikro-orm/core';

/** Name of the unique constraint or index that an insert ran into; undefined for every other error. */
export function violatedUnique(error: unknown): string | undefined {
  if (!(error instanceof UniqueConstraintViolationException)) return undefined;
  return (error as { constraint?: string }).constraint;
}

/** The database is away or busy, not wrong: waiting helps. SQLSTATE classes 08, 40, 53, 57, or no answer at all. */
export function isDatabaseAway(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string')
    return error instanceof DriverException && /terminat|timeout|closed/i.test(error.message);
  return /^(08|40|53|57)/.test(code) || /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND)/.test(code);
}
