import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { PasswordHasher } from '../domain/password-hasher.js';
import type { IdentityDB } from './account.js';
import { TokenIssuer, type SignedIn } from './token-issuer.js';

/**
 * Signs in by email or username, in whatever case.
 * @throws DomainError `auth.bad_credentials`, the same and as late for an unknown account as for a wrong password
 */
export class SignInCommand extends Command<SignedIn> {
  constructor(
    readonly login: { email: string } | { username: string },
    readonly password: string,
  ) {
    super();
  }
}

@CommandHandler(SignInCommand)
export class SignInHandler implements ICommandHandler<SignInCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly hasher: PasswordHasher,
    private readonly issuer: TokenIssuer,
  ) {}

  async execute({ login, password }: SignInCommand): Promise<SignedIn> {
    const user = await this.find(login);
    if (!(await this.hasher.verify(password, user?.password_hash ?? null)) || !user) {
      throw new DomainError('unauthenticated', 'auth.bad_credentials', 'Wrong email, username or password.');
    }
    return this.transactions.run((tx) => this.issuer.issue(tx, user));
  }

  private find(login: SignInCommand['login']) {
    const users = this.transactions
      .kysely<IdentityDB>()
      .selectFrom('users')
      .select(['id', 'email', 'username', 'role', 'password_hash', 'created_at', 'updated_at']);
    const found =
      'email' in login
        ? users.where('email', '=', login.email.toLowerCase())
        : users.where(sql`lower(username)`, '=', login.username.toLowerCase());
    return found.executeTakeFirst();
  }
}
