import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor, UserRole } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { Authenticator } from '../../../common/auth/authenticator.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import type { User } from '../domain/user.entity.js';
import { lockUser, toAccount, type Account, type IdentityDB } from './account.js';
import { Sessions } from './sessions.js';

/** Held while administrators are made or unmade, so that the last two can't unmake each other; "admins" in ASCII. */
const ADMINS_LOCK = 0x61_64_6d_69_6e_73;

/**
 * Gives an account another role, disables it, or enables it again (administrators). Disabling ends all its sign-ins
 * and stops its keys at once; enabling brings the keys back, not the sign-ins.
 * @throws DomainError `user.not_found`, `user.forbidden`, `user.last_admin`
 */
export class UpdateUserCommand extends Command<Account> {
  constructor(
    readonly actor: Actor,
    readonly user_id: string,
    readonly patch: { role?: UserRole; disabled?: boolean },
  ) {
    super();
  }
}

@CommandHandler(UpdateUserCommand)
export class UpdateUserHandler implements ICommandHandler<UpdateUserCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly sessions: Sessions,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditLog,
  ) {}

  execute({ actor, user_id, patch }: UpdateUserCommand): Promise<Account> {
    if (actor.role !== 'admin' && actor.user_id !== user_id) throw notFound('user');
    adminsOnly(actor, 'user');
    return this.transactions.run((tx) => this.update(tx, actor, user_id, patch));
  }

  private async update(tx: Tx, actor: Actor, id: string, patch: UpdateUserCommand['patch']): Promise<Account> {
    await sql`select pg_advisory_xact_lock(${ADMINS_LOCK})`.execute(tx.kysely());
    const user = await lockUser(tx, id);
    if (!user) throw notFound('user');
    const before = { role: user.role, was_admin: user.isActiveAdmin() };
    const role_changed = user.changeRole(patch.role ?? user.role);
    const disabling_changed = user.setDisabled(patch.disabled ?? Boolean(user.disabled_at), new Date());
    if (before.was_admin && !user.isActiveAdmin()) await this.checkNotLast(tx, id);
    await this.checkStillAdmin(tx, actor);
    await tx.em.flush();
    if (role_changed) await this.record(tx, actor, user, { from: before.role, to: user.role });
    if (disabling_changed) await this.record(tx, actor, user);
    if (disabling_changed && user.disabled_at) await this.sessions.end(tx, id);
    tx.afterCommit(() => this.authenticator.forget());
    return toAccount(user);
  }

  private async checkNotLast(tx: Tx, id: string): Promise<void> {
    const other = await activeAdmins(tx).where('id', '<>', id).limit(1).executeTakeFirst();
    if (other) return;
    throw new DomainError(
      'conflict',
      'user.last_admin',
      'This is the last administrator who can sign in. Make somebody else one first.',
    );
  }

  /** The request was let in as an administrator's; somebody else may have ended that before we had the lock. */
  private async checkStillAdmin(tx: Tx, actor: Actor): Promise<void> {
    const still = await activeAdmins(tx)
      .where('id', '=', actor.user_id ?? '')
      .executeTakeFirst();
    adminsOnly(still ? actor : { ...actor, role: 'member' }, 'user');
  }

  private record(tx: Tx, actor: Actor, { id, disabled_at }: User, role?: { from: UserRole; to: UserRole }) {
    const action = role ? 'user.role_changed' : disabled_at ? 'user.disabled' : 'user.enabled';
    return this.audit.record({ action, actor, subject: { type: 'user', id }, data: role ?? {} }, tx);
  }
}

/** As the database has them: what is about to be flushed does not count. */
function activeAdmins(tx: Tx) {
  const users = tx.kysely<IdentityDB>().selectFrom('users').select('id');
  return users.where('role', '=', 'admin').where('disabled_at', 'is', null);
}
