import type { Actor } from '../../../common/auth/actor.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import type { BoardPermission } from '../contracts/task.types.js';
import type { BoardRole } from './board.entity.js';

/** What each role may do. */
const PERMISSIONS: Readonly<Record<BoardRole, readonly BoardPermission[]>> = {
  viewer: ['read'],
  editor: ['read', 'write'],
  owner: ['read', 'write', 'manage'],
};

/** The roles that may do that. */
export function rolesFor(permission: BoardPermission): BoardRole[] {
  return (Object.keys(PERMISSIONS) as BoardRole[]).filter((role) => PERMISSIONS[role].includes(permission));
}

/** Administrators and the server itself pass every check. */
export function seesEverything({ role }: Actor): boolean {
  return role === 'admin' || role === 'system';
}

/**
 * Lets the actor pass who, with this role on the board (null: none), may do that.
 * @throws DomainError `board.not_found` or `task.not_found` for a stranger, `board.forbidden` when the role is too small
 */
export function checkPermission(
  actor: Actor,
  role: BoardRole | null,
  permission: BoardPermission,
  what: 'board' | 'task',
): void {
  if (seesEverything(actor)) return;
  if (role === null) throw notFound(what);
  if (PERMISSIONS[role].includes(permission)) return;
  throw new DomainError(
    'forbidden',
    'board.forbidden',
    `You are ${role} on this board; this takes: ${rolesFor(permission).join(' or ')}.`,
    { role, permission },
  );
}
