import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { actorTransaction } from './actor-transaction.js';
import { lockTask } from './board-access.js';
import { LiveRuns, runLive } from './live-runs.js';
import type { TaskRecord } from './records.js';
import { recordOf } from './task-dependencies.js';
import { saveChanged } from './task-history.js';
import { lockColumn } from './wip-columns.js';

/**
 * Puts a task into the archive or takes it out, if it is still of one of the versions (null: of any); one that is
 * there already stays as it is.
 * @throws DomainError `task.not_found`, `board.forbidden`, `precondition.stale`, `task.run_live`,
 *   `board.wip_limit` where its column is full
 */
export class ArchiveTaskCommand extends Command<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly archived: boolean,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(ArchiveTaskCommand)
export class ArchiveTaskHandler implements ICommandHandler<ArchiveTaskCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly liveRuns: LiveRuns,
  ) {}

  execute({ actor, task_id, archived, versions }: ArchiveTaskCommand): Promise<TaskRecord> {
    const how = { actor, where: { task_id }, force: false, refusal: () => runLive('archive', false) };
    return this.liveRuns.clearFor(how, () =>
      actorTransaction(this.transactions, async (tx) => {
        // As for a deletion: a run that is just being started is waited for.
        const task = await lockTask(tx, actor, task_id, 'write', archived ? 'delete' : 'change');
        checkVersion(task.version, versions);
        const returns = !archived && task.archived_at;
        if (returns) (await lockColumn(tx, task.board_id, task.state)).enter('room');
        await saveChanged(tx, { task, changes: task.setArchived(archived, new Date()) }, { actor });
        return recordOf(tx, task);
      }),
    );
  }
}
