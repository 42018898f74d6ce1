import { DomainError } from '../errors/domain-error.js';
import type { Actor } from './actor.js';

/** @throws DomainError `<what>.forbidden` for everybody but administrators */
export function adminsOnly({ role }: Actor, what: string): void {
  if (role === 'admin') return;
  throw new DomainError('forbidden', `${what}.forbidden`, 'Only administrators may do this.');
}
