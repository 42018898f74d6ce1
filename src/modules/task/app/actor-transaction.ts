import { userGone } from '../../../common/auth/user-gone.js';
import type { Transactions, Tx } from '../../../common/persistence/transactions.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';

/** Where rows of ours name the user who made them. */
const NAMES_A_USER = new Set([
  'boards_owner_id_fkey',
  'board_members_user_id_fkey',
  'tasks_created_by_fkey',
  'task_events_created_by_fkey',
]);

/**
 * A transaction that writes in a user's name.
 * @throws DomainError `auth.user_gone` when that user was deleted while the access token was still good
 */
export async function actorTransaction<T>(transactions: Transactions, work: (tx: Tx) => Promise<T>): Promise<T> {
  try {
    return await transactions.run(work);
  } catch (error) {
    throw NAMES_A_USER.has(violatedConstraint(error) ?? '') ? userGone() : error;
  }
}
