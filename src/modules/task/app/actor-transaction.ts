import type { Actor } from '../../../common/auth/actor.js';
import { userGone } from '../../../common/auth/user-gone.js';
import { notFound } from '../../../common/errors/domain-error.js';
import type { Idempotency, OnceKey } from '../../../common/idempotency/idempotency.js';
import type { Transactions, Tx } from '../../../common/persistence/transactions.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';

/** Where rows of ours name the user who made them. */
const NAMES_A_USER = new Set([
  'boards_owner_id_fkey',
  'board_members_user_id_fkey',
  'tasks_created_by_fkey',
  'task_events_created_by_fkey',
  'idempotency_keys_user_id_fkey',
]);

/**
 * A transaction that writes in a user's name.
 * @throws DomainError `auth.user_gone` when that user was deleted while the access token was still good;
 *   `agent_type.not_found` when a task was given an agent type that is not there
 */
export async function actorTransaction<T>(transactions: Transactions, work: (tx: Tx) => Promise<T>): Promise<T> {
  return explained(transactions.run(work));
}

/** The same, carried out once per `Idempotency-Key`. @throws DomainError `idempotency.key_reused`, and as above */
export async function actorOnce<T extends object>(
  idempotency: Idempotency,
  actor: Actor,
  once: OnceKey | null,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return explained(idempotency.run(actor, once, work));
}

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const violated = violatedConstraint(error) ?? '';
    if (violated === 'tasks_agent_type_fkey') throw notFound('agent type');
    throw NAMES_A_USER.has(violated) ? userGone() : error;
  }
}
