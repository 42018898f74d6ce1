import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import { AccessNews } from '../../../common/auth/access-news.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { BoardMemberChangedEvent, BoardMemberRemovedEvent } from '../contracts/board.events.js';
import type { Board, BoardRole } from '../domain/board.entity.js';
import { authorizeBoard, lockBoard } from './board-access.js';
import { withNames, type BoardMemberRecord } from './board-members.queries.js';
import type { TaskDB } from './task-db.js';

/**
 * Gives a user a role on a board; a member who has it already stays as they are.
 * @throws DomainError `board.not_found`, `board.forbidden`, `user.not_found`, `board.last_owner`
 */
export class SetBoardMemberCommand extends Command<BoardMemberRecord> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly user_id: string,
    readonly role: BoardRole,
  ) {
    super();
  }
}

/**
 * Ends a user's membership. Everybody may end their own.
 * @throws DomainError `board.not_found`, `board.forbidden`, `member.not_found`, `board.last_owner`
 */
export class RemoveBoardMemberCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly user_id: string,
  ) {
    super();
  }
}

@CommandHandler(SetBoardMemberCommand)
export class SetBoardMemberHandler implements ICommandHandler<SetBoardMemberCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly audit: AuditLog,
    private readonly news: AccessNews,
  ) {}

  async execute(command: SetBoardMemberCommand): Promise<BoardMemberRecord> {
    const row = await this.transactions
      .run((tx) => this.set(tx, command))
      .catch((error: unknown) => {
        throw violatedConstraint(error) === 'board_members_user_id_fkey' ? notFound('user') : error;
      });
    const [record] = await withNames(this.queries, [row]);
    if (!record) throw notFound('user');
    return record;
  }

  private async set(tx: Tx, { actor, board_id, user_id, role }: SetBoardMemberCommand) {
    const board = await lockForMembers(tx, actor, board_id, 'manage');
    const before = await findMember(tx, board_id, user_id);
    if (before?.role === role) return before;
    if (before?.role === 'owner') await requireOtherOwner(tx, board_id, user_id);
    const row = await tx
      .kysely<TaskDB>()
      .insertInto('board_members')
      .values({ board_id, user_id, role, created_at: new Date() })
      .onConflict((conflict) => conflict.columns(['board_id', 'user_id']).doUpdateSet({ role }))
      .returningAll()
      .executeTakeFirstOrThrow();
    const data = { user_id, from: before?.role ?? null, to: role };
    await this.audit.record({ action: 'board.member_set', actor, subject: { type: 'board', id: board_id }, data }, tx);
    tx.emit(new BoardMemberChangedEvent(board_id, board.version, { user_id, role, actor_id: actor.user_id }));
    tx.afterCommit(() => this.news.membershipBegan(user_id, board_id));
    return row;
  }
}

@CommandHandler(RemoveBoardMemberCommand)
export class RemoveBoardMemberHandler implements ICommandHandler<RemoveBoardMemberCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
    private readonly news: AccessNews,
  ) {}

  execute(command: RemoveBoardMemberCommand): Promise<void> {
    return this.transactions.run((tx) => this.remove(tx, command));
  }

  private async remove(tx: Tx, { actor, board_id, user_id }: RemoveBoardMemberCommand): Promise<void> {
    const board = await lockForMembers(tx, actor, board_id, user_id === actor.user_id ? 'read' : 'manage');
    const before = await findMember(tx, board_id, user_id);
    if (!before) throw notFound('member');
    if (before.role === 'owner') await requireOtherOwner(tx, board_id, user_id);
    const members = tx.kysely<TaskDB>().deleteFrom('board_members');
    await members.where('board_id', '=', board_id).where('user_id', '=', user_id).execute();
    const subject = { type: 'board', id: board_id };
    await this.audit.record(
      { action: 'board.member_removed', actor, subject, data: { user_id, from: before.role } },
      tx,
    );
    tx.emit(new BoardMemberRemovedEvent(board_id, board.version, { user_id, actor_id: actor.user_id }));
    tx.afterCommit(() => this.news.membershipEnded(user_id));
  }
}

/** One change of a board's members at a time; the actor's role is looked up again once it is our turn. */
async function lockForMembers(tx: Tx, actor: Actor, board_id: string, permission: 'read' | 'manage'): Promise<Board> {
  const board = await lockBoard(tx, actor, board_id, permission, 'change');
  await authorizeBoard(tx.kysely<TaskDB>(), actor, board_id, permission);
  return board;
}

function findMember(tx: Tx, board_id: string, user_id: string) {
  const members = tx.kysely<TaskDB>().selectFrom('board_members').selectAll();
  return members.where('board_id', '=', board_id).where('user_id', '=', user_id).executeTakeFirst();
}

async function requireOtherOwner(tx: Tx, board_id: string, user_id: string): Promise<void> {
  const members = tx.kysely<TaskDB>().selectFrom('board_members').select('user_id').where('board_id', '=', board_id);
  if (await members.where('role', '=', 'owner').where('user_id', '<>', user_id).executeTakeFirst()) return;
  const text = 'A board needs an owner. Make somebody else one first, or delete the board.';
  throw new DomainError('conflict', 'board.last_owner', text);
}
