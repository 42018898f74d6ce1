import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AccessNews } from '../../../common/auth/access-news.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { TaskDeletedEvent } from '../contracts/task.events.js';
import { lockBoard } from './board-access.js';
import { boardRunLive, LiveRuns } from './live-runs.js';
import type { TaskDB } from './task-db.js';

/**
 * Deletes a board with its tasks and all that belongs to them, if it is of one of the versions (null: of any).
 * Live runs are in the way; with `force` they are stopped first.
 * @throws DomainError `board.not_found`, `board.forbidden`, `precondition.stale`, `board.run_live`, `task.still_stopping`
 */
export class DeleteBoardCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly versions: number[] | null,
    readonly force = false,
  ) {
    super();
  }
}

@CommandHandler(DeleteBoardCommand)
export class DeleteBoardHandler implements ICommandHandler<DeleteBoardCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly liveRuns: LiveRuns,
    private readonly news: AccessNews,
  ) {}

  execute(command: DeleteBoardCommand): Promise<void> {
    const { actor, board_id, force } = command;
    const how = { actor, where: { board_id }, force, refusal: boardRunLive };
    return this.liveRuns.clearFor(how, () => this.transactions.run((tx) => this.remove(tx, command)));
  }

  private async remove(tx: Tx, { actor, board_id, versions }: DeleteBoardCommand): Promise<void> {
    const board = await lockBoard(tx, actor, board_id, 'manage', 'delete');
    checkVersion(board.version, versions);
    const db = tx.kysely<TaskDB>();
    // Locked like the board: a run that is just being started is waited for, and a later one finds no task.
    const tasks = db.selectFrom('tasks').select(['id', 'version']).where('board_id', '=', board_id);
    const rows = await tasks.orderBy('id').forUpdate().execute();
    await db.deleteFrom('boards').where('id', '=', board_id).execute();
    const data = { board_id, actor_id: actor.user_id };
    await tx.emitAll(rows.map(({ id, version }) => new TaskDeletedEvent(id, version + 1, data)));
    tx.afterCommit(() => this.news.boardDeleted());
  }
}
