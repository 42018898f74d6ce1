import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { userGone } from '../../../common/auth/user-gone.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { PasswordHasher } from '../domain/password-hasher.js';
import { lockUser, type IdentityDB } from './account.js';
import { Sessions, type SignedIn } from './sessions.js';
import { SignInThrottle } from './sign-in-throttle.js';

/**
 * Changes the actor's own password. All their sign-ins end, the one that asked too; the answer is a new one.
 * @throws DomainError `auth.wrong_password`, `auth.too_many_attempts`, `auth.user_gone`
 */
export class ChangePasswordCommand extends Command<SignedIn> {
  constructor(
    readonly actor: Actor,
    readonly current_password: string,
    readonly new_password: string,
  ) {
    super();
  }
}

interface Change {
  user_id: string;
  old_hash: string;
  new_hash: string;
}

@CommandHandler(ChangePasswordCommand)
export class ChangePasswordHandler implements ICommandHandler<ChangePasswordCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly hasher: PasswordHasher,
    private readonly sessions: Sessions,
    private readonly throttle: SignInThrottle,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, current_password, new_password }: ChangePasswordCommand): Promise<SignedIn> {
    const { user_id } = actor;
    if (user_id === null) throw userGone();
    const old_hash = await this.throttle.attempt(`id:${user_id}`, () => this.verify(user_id, current_password));
    if (old_hash === undefined) {
      const subject = { type: 'user', id: user_id };
      await this.audit.record({ action: 'auth.password_change_failed', actor, subject });
      throw wrongPassword();
    }
    const new_hash = await this.hasher.hash(new_password);
    return this.transactions.run((tx) => this.change(tx, { user_id, old_hash, new_hash }));
  }

  /** The hash of the password, if it is the right one. */
  private async verify(user_id: string, password: string): Promise<string | undefined> {
    const users = this.transactions.kysely<IdentityDB>().selectFrom('users').select('password_hash');
    const hash = (await users.where('id', '=', user_id).executeTakeFirst())?.password_hash ?? null;
    return (await this.hasher.verify(password, hash)) && hash !== null ? hash : undefined;
  }

  private async change(tx: Tx, { user_id, old_hash, new_hash }: Change): Promise<SignedIn> {
    const user = await lockUser(tx, user_id);
    if (!user) throw userGone();
    if (user.password_hash !== old_hash) throw wrongPassword(); // changed by somebody else meanwhile
    user.changePassword(new_hash);
    await tx.em.flush();
    await this.sessions.end(tx, user_id);
    return this.sessions.start(tx, user, 'auth.password_changed');
  }
}

function wrongPassword(): DomainError {
  return new DomainError('forbidden', 'auth.wrong_password', 'The current password is wrong.');
}
