import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { deleteTasks, lockForDeletion } from './delete-tasks.js';
import { LiveRuns, runLive } from './live-runs.js';
import type { TaskDB } from './task-db.js';
import { lockBoardOf } from './task-locks.js';

/**
 * Deletes a task and all that belongs to it, if it is of one of the versions (null: of any) when the request comes.
 * A live run is in the way; with `force` it is stopped first.
 * @throws DomainError `task.not_found`, `board.forbidden`, `precondition.stale`, `task.run_live`, `task.still_stopping`
 */
export class DeleteTaskCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly versions: number[] | null,
    readonly force = false,
  ) {
    super();
  }
}

@CommandHandler(DeleteTaskCommand)
export class DeleteTaskHandler implements ICommandHandler<DeleteTaskCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly liveRuns: LiveRuns,
  ) {}

  execute(command: DeleteTaskCommand): Promise<void> {
    const { actor, task_id, force } = command;
    const how = { actor, where: { task_id }, force, refusal: () => runLive('delete', true) };
    return this.liveRuns.clearFor(how, (stopped) => {
      // Stopping its run changes the task: what the caller has seen was compared before.
      const versions = stopped ? null : command.versions;
      return this.transactions.run((tx) => remove(tx, { actor, task_id, versions }));
    });
  }
}

type Doomed = Pick<DeleteTaskCommand, 'actor' | 'task_id' | 'versions'>;

async function remove(tx: Tx, { actor, task_id, versions }: Doomed): Promise<void> {
  const board_id = await lockBoardOf(tx, actor, task_id);
  const { dependents } = await lockForDeletion(tx, board_id, [task_id]);
  const tasks = tx.kysely<TaskDB>().selectFrom('tasks').select('version').where('id', '=', task_id);
  const task = await tasks.executeTakeFirst();
  if (!task) throw notFound('task');
  checkVersion(task.version, versions);
  await deleteTasks(tx, actor, [task_id], dependents);
}
