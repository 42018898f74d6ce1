import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import { refusal } from '../../../common/auth/refusals.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { PasswordHasher } from '../domain/password-hasher.js';
import { lockUser, type IdentityDB } from './account.js';
import { Sessions, type SignedIn } from './sessions.js';
import { SignInThrottle } from './sign-in-throttle.js';
import { withLogin, type Login } from './user-lookup.js';

/**
 * Signs in by email or username, in whatever case.
 * @throws DomainError `auth.bad_credentials`, the same and as late for an unknown account as for a wrong password;
 *   `auth.account_disabled`, `auth.too_many_attempts`
 */
export class SignInCommand extends Command<SignedIn> {
  constructor(
    readonly login: Login,
    readonly password: string,
  ) {
    super();
  }
}

const MAX_LOGIN_KEPT = 100; // characters; enough to recognise, and nobody fills the audit log with them

@CommandHandler(SignInCommand)
export class SignInHandler implements ICommandHandler<SignInCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly hasher: PasswordHasher,
    private readonly sessions: Sessions,
    private readonly throttle: SignInThrottle,
    private readonly audit: AuditLog,
  ) {}

  async execute({ login, password }: SignInCommand): Promise<SignedIn> {
    await this.throttle.countAddress();
    const account = 'email' in login ? `email:${login.email}` : `username:${login.username}`;
    const known = await this.throttle.attempt(account.toLowerCase(), () => this.verify(login, password));
    if (!known) throw badCredentials();
    const signedIn = await this.transactions.run((tx) => this.start(tx, known));
    if (signedIn instanceof DomainError) throw signedIn;
    return signedIn;
  }

  private async verify(login: Login, password: string): Promise<{ id: string; password_hash: string } | undefined> {
    const users = withLogin(this.transactions.kysely<IdentityDB>(), login);
    const user = await users.select(['id', 'password_hash']).executeTakeFirst();
    if ((await this.hasher.verify(password, user?.password_hash ?? null)) && user) return user;
    await this.recordFailure(user?.id, login);
    return undefined;
  }

  /** Of an unknown account only that it failed: people type their password where the name belongs. */
  private async recordFailure(id: string | undefined, login: Login): Promise<void> {
    const entry = { action: 'auth.sign_in_failed', actor: null } as const;
    if (id === undefined) return this.audit.record(entry);
    const typed = 'email' in login ? login.email : login.username;
    const data = { login: typed.slice(0, MAX_LOGIN_KEPT).toWellFormed() };
    return this.audit.record({ ...entry, subject: { type: 'user', id }, data });
  }

  /** The password may have been changed, or the account disabled, since it was looked at. */
  private async start(tx: Tx, known: { id: string; password_hash: string }): Promise<SignedIn | DomainError> {
    const user = await lockUser(tx, known.id);
    if (user?.password_hash !== known.password_hash) return badCredentials();
    if (!user.disabled_at) return this.sessions.start(tx, user, 'auth.signed_in');
    const subject = { type: 'user', id: user.id };
    await this.audit.record({ action: 'auth.sign_in_failed', actor: null, subject, data: { disabled: true } }, tx);
    return refusal('account_disabled');
  }
}

function badCredentials(): DomainError {
  return new DomainError('unauthenticated', 'auth.bad_credentials', 'Wrong email, username or password.');
}
