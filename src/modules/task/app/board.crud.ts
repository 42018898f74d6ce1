import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { FindTasksWithLiveRunQuery } from '../../orchestrator/contracts/run.queries.js';
import { TaskDeletedEvent } from '../contracts/task.events.js';
import { Board, BoardMember } from '../domain/board.entity.js';
import { assignChanges } from '../domain/changes.js';
import { actorTransaction } from './actor-transaction.js';
import { lockBoard } from './board-access.js';
import { Deletions } from './deletions.js';
import { toBoardRecord, type BoardRecord } from './records.js';
import type { TaskDB } from './task-db.js';

export interface BoardInput {
  name: string;
  description: string | null;
}

/** Makes a board that the actor owns. */
export class CreateBoardCommand extends Command<BoardRecord> {
  constructor(
    readonly actor: Actor,
    readonly input: BoardInput,
  ) {
    super();
  }
}

/**
 * Changes the given fields of a board, if it is still of one of the versions (null: of any).
 * @throws DomainError `board.not_found`, `board.forbidden`, `precondition.stale`
 */
export class UpdateBoardCommand extends Command<BoardRecord> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly patch: Partial<BoardInput>,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

/**
 * Deletes a board with its tasks and all that belongs to them.
 * @throws DomainError `board.not_found`, `board.forbidden`, `precondition.stale`, `board.run_live`
 */
export class DeleteBoardCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(CreateBoardCommand)
export class CreateBoardHandler implements ICommandHandler<CreateBoardCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor: { user_id }, input }: CreateBoardCommand): Promise<BoardRecord> {
    return actorTransaction(this.transactions, async (tx) => {
      if (user_id === null)
        throw new DomainError('forbidden', 'board.forbidden', 'A board needs a person who owns it.');
      const board = tx.em.create(Board, { id: uuidv7(), ...input, owner_id: user_id }, { persist: true });
      await tx.em.flush();
      tx.em.create(BoardMember, { board_id: board.id, user_id, role: 'owner' }, { persist: true });
      return toBoardRecord(board);
    });
  }
}

@CommandHandler(UpdateBoardCommand)
export class UpdateBoardHandler implements ICommandHandler<UpdateBoardCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, board_id, patch, versions }: UpdateBoardCommand): Promise<BoardRecord> {
    return this.transactions.run(async (tx) => {
      const board = await lockBoard(tx, actor, board_id, 'manage', 'change');
      checkVersion(board.version, versions);
      assignChanges<Partial<BoardInput>>(board, patch);
      await tx.em.flush();
      return toBoardRecord(board);
    });
  }
}

@CommandHandler(DeleteBoardCommand)
export class DeleteBoardHandler implements ICommandHandler<DeleteBoardCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly deletions: Deletions,
  ) {}

  execute(command: DeleteBoardCommand): Promise<void> {
    return this.deletions.run(() => this.transactions.run((tx) => this.delete(tx, command)));
  }

  private async delete(tx: Tx, { actor, board_id, versions }: DeleteBoardCommand): Promise<void> {
    const board = await lockBoard(tx, actor, board_id, 'manage', 'delete');
    checkVersion(board.version, versions);
    // Locked like the board: a run that is just being started is waited for, and a later one finds no task.
    const tasks = tx.kysely<TaskDB>().selectFrom('tasks').select(['id', 'version']).where('board_id', '=', board_id);
    const rows = await tasks.orderBy('id').forUpdate().execute();
    const running = await this.queries.execute(new FindTasksWithLiveRunQuery({ board_id }));
    if (running.length > 0) {
      const message = `${running.length} of the board's tasks have a live run. Stop those first, then delete the board.`;
      throw new DomainError('conflict', 'board.run_live', message, { task_ids: running });
    }
    tx.em.remove(board);
    for (const { id, version } of rows)
      tx.emit(new TaskDeletedEvent(id, version + 1, { board_id, actor_id: actor.user_id }));
  }
}
