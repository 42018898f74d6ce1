import { userGone } from '../../../common/auth/user-gone.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import type { TaskView } from '../../task/contracts/task.types.js';

/**
 * A task that is put away is never started; a finished or blocked one only by force.
 * @throws DomainError `task.archived`, `run.task_not_startable`
 */
export function requireStartable({ state, archived_at }: TaskView, force: boolean): void {
  if (archived_at) throw archived();
  if (force || state === 'TODO' || state === 'IN_PROGRESS') return;
  throw new DomainError(
    'conflict',
    'run.task_not_startable',
    `A task in ${state} is not started. Reopen it (state TODO), or use force.`,
    { state },
  );
}

function archived(): DomainError {
  return new DomainError(
    'conflict',
    'task.archived',
    'An archived task is not started. Take it out of the archive first.',
  );
}

export function alreadyLive(): DomainError {
  return new DomainError(
    'conflict',
    'run.already_live',
    'This task has a run under way. Stop it first, or wait for its end.',
  );
}

/** What the database has against a new run, in words; undefined for any other error. */
export function refusalOf(error: unknown): DomainError | undefined {
  switch (violatedConstraint(error)) {
    case 'runs_one_live_per_task':
      return alreadyLive();
    case 'runs_task_id_fkey': // deleted a moment ago, as below
      return notFound('task');
    case 'runs_task_not_archived': // a moment ago, too
      return archived();
    case 'runs_agent_type_fkey':
      return notFound('agent type');
    case 'runs_requested_by_fkey':
    case 'idempotency_keys_user_id_fkey':
      return userGone();
    default:
      return undefined;
  }
}
