import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql, type Kysely } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { Command } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { PasswordHasher } from '../domain/password-hasher.js';
import { User } from '../domain/user.entity.js';
import type { IdentityDB } from './account.js';
import { Sessions, type SignedIn } from './sessions.js';

/** Held while an account is made, so that only one can be the first; the number is "users" in ASCII. */
const REGISTRATION_LOCK = 0x75_73_65_72_73;

/**
 * Makes an account and signs it in. The first one of an empty database is the admin, and may always register.
 * @throws DomainError `auth.registration_closed`, `user.email_taken`, `user.username_taken`
 */
export class RegisterUserCommand extends Command<SignedIn> {
  constructor(
    readonly email: string,
    readonly username: string,
    readonly password: string,
  ) {
    super();
  }
}

@CommandHandler(RegisterUserCommand)
export class RegisterUserHandler implements ICommandHandler<RegisterUserCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly hasher: PasswordHasher,
    private readonly sessions: Sessions,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ email, username, password }: RegisterUserCommand): Promise<SignedIn> {
    // Asked here already so that a closed server does no hashing for strangers; what counts is asked under the lock.
    this.checkOpen(await isFirst(this.transactions.kysely<IdentityDB>()));
    const password_hash = await this.hasher.hash(password);
    try {
      return await this.transactions.run((tx) =>
        this.register(tx, { email: email.toLowerCase(), username, password_hash }),
      );
    } catch (error) {
      throw takenError(error) ?? error;
    }
  }

  private async register(tx: Tx, account: Pick<User, 'email' | 'username' | 'password_hash'>): Promise<SignedIn> {
    const db = tx.kysely<IdentityDB>();
    await sql`select pg_advisory_xact_lock(${REGISTRATION_LOCK})`.execute(db);
    const first = await isFirst(db);
    this.checkOpen(first);
    const user = tx.em.create(User, { id: uuidv7(), ...account, role: first ? 'admin' : 'member' }, { persist: true });
    await tx.em.flush();
    return this.sessions.start(tx, user, 'auth.registered');
  }

  private checkOpen(first: boolean): void {
    if (first || this.config.auth.registration === 'open') return;
    throw new DomainError(
      'forbidden',
      'auth.registration_closed',
      'This server takes no new accounts. Ask its administrator.',
    );
  }
}

async function isFirst(db: Kysely<IdentityDB>): Promise<boolean> {
  return (await db.selectFrom('users').select('id').limit(1).executeTakeFirst()) === undefined;
}

function takenError(error: unknown): DomainError | undefined {
  switch (violatedConstraint(error)) {
    case 'users_email_key':
      return new DomainError(
        'conflict',
        'user.email_taken',
        'There is an account with this email already. Sign in, or use another one.',
      );
    case 'users_username_key':
    case 'users_username_lower_key':
      return new DomainError(
        'conflict',
        'user.username_taken',
        'Somebody has this username already. Choose another one.',
      );
    default:
      return undefined;
  }
}
