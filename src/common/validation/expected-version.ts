import { DomainError } from '../errors/domain-error.js';

/**
 * Checks that the row is still one of the versions the caller has seen; null lets any pass.
 * @throws DomainError `precondition.stale`, with the present `version`
 */
export function checkVersion(version: number, expected: readonly number[] | null): void {
  if (expected === null || expected.includes(version)) return;
  throw new DomainError(
    'precondition_failed',
    'precondition.stale',
    'It has changed since you read it. Read it again, then repeat your change.',
    { version },
  );
}
