import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Idempotency, type OnceKey } from '../../../common/idempotency/idempotency.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { Board, BoardMember } from '../domain/board.entity.js';
import { assignChanges } from '../domain/changes.js';
import { actorOnce } from './actor-transaction.js';
import { lockBoard } from './board-access.js';
import { toBoardRecord, type BoardRecord } from './records.js';

export interface BoardInput {
  name: string;
  description: string | null;
}

/** Makes a board that the actor owns. @throws DomainError `idempotency.key_reused` */
export class CreateBoardCommand extends Command<BoardRecord> {
  constructor(
    readonly actor: Actor,
    readonly input: BoardInput,
    readonly once: OnceKey | null = null,
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

@CommandHandler(CreateBoardCommand)
export class CreateBoardHandler implements ICommandHandler<CreateBoardCommand> {
  constructor(private readonly idempotency: Idempotency) {}

  execute({ actor, input, once }: CreateBoardCommand): Promise<BoardRecord> {
    return actorOnce(this.idempotency, actor, once, async (tx) => {
      const { user_id } = actor;
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
