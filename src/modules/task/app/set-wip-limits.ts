import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { BoardWipLimitsChangedEvent } from '../contracts/board.events.js';
import { WIP_STATES, type WipState } from '../contracts/task.types.js';
import { lockBoard } from './board-access.js';
import { boardDetails, type BoardDetails } from './board.queries.js';
import type { TaskDB } from './task-db.js';

/** Of the columns that are to be changed: how many tasks they take from now on; null for any number. */
export type WipLimitsPatch = Partial<Record<WipState, number | null>>;

/**
 * Limits how many tasks may be in a column of a board, if that is still of one of the versions (null: of any). What is
 * there stays there: a limit below it only keeps others out.
 * @throws DomainError `board.not_found`, `board.forbidden`, `precondition.stale`
 */
export class SetWipLimitsCommand extends Command<BoardDetails> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly patch: WipLimitsPatch,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(SetWipLimitsCommand)
export class SetWipLimitsHandler implements ICommandHandler<SetWipLimitsCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, board_id, patch, versions }: SetWipLimitsCommand): Promise<BoardDetails> {
    return this.transactions.run(async (tx) => {
      const board = await lockBoard(tx, actor, board_id, 'manage', 'change');
      checkVersion(board.version, versions);
      if (await write(tx, board_id, patch)) {
        // Later than it was in any case: so it is a change of the board, with a version of its own.
        board.updated_at = new Date(Math.max(Date.now(), board.updated_at.getTime() + 1));
        await tx.em.flush();
        tx.emit(new BoardWipLimitsChangedEvent(board_id, board.version, { actor_id: actor.user_id }));
      }
      return boardDetails(tx.kysely<TaskDB>(), actor, board_id);
    });
  }
}

/** In the order of the columns' names, as everybody locks them; says whether any became different. */
async function write(tx: Tx, board_id: string, patch: WipLimitsPatch): Promise<boolean> {
  const db = tx.kysely<TaskDB>();
  let changed = false;
  for (const state of WIP_STATES.toSorted()) {
    const max_tasks = patch[state];
    if (max_tasks === undefined) continue;
    const { numAffectedRows = 0n } = await (
      max_tasks === null
        ? sql`delete from board_wip_limits where board_id = ${board_id} and state = ${state}`
        : sql`insert into board_wip_limits as l (board_id, state, max_tasks) values (${board_id}, ${state}, ${max_tasks})
            on conflict (board_id, state) do update set max_tasks = excluded.max_tasks
            where l.max_tasks <> excluded.max_tasks`
    ).execute(db);
    changed ||= numAffectedRows > 0n;
  }
  return changed;
}
