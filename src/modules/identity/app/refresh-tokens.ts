import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { RefreshToken } from '../domain/refresh-token.entity.js';
import { User } from '../domain/user.entity.js';
import type { IdentityDB } from './account.js';
import { hashToken, TokenIssuer, type SignedIn } from './token-issuer.js';

/**
 * Exchanges a refresh token for a new pair. A token that comes a second time revokes every token of its sign-in.
 * @throws DomainError `auth.invalid_refresh_token`, `auth.refresh_reused`
 */
export class RefreshTokensCommand extends Command<SignedIn> {
  constructor(readonly refresh_token: string) {
    super();
  }
}

/** Signs out: revokes every token of the sign-in that the given one is of. An unknown token changes nothing. */
export class SignOutCommand extends Command<void> {
  constructor(readonly refresh_token: string) {
    super();
  }
}

@CommandHandler(RefreshTokensCommand)
export class RefreshTokensHandler implements ICommandHandler<RefreshTokensCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly issuer: TokenIssuer,
  ) {}

  async execute({ refresh_token }: RefreshTokensCommand): Promise<SignedIn> {
    // A refusal is returned, not thrown: the revocation has to be committed.
    const result = await this.transactions.run((tx) => this.exchange(tx, refresh_token));
    if (result instanceof DomainError) throw result;
    return result;
  }

  private async exchange(tx: Tx, refresh_token: string): Promise<SignedIn | DomainError> {
    const now = new Date();
    const family = await openFamily(tx, refresh_token);
    const token = family.find(({ token_hash }) => token_hash === hashToken(refresh_token));
    const outcome = token?.use(now) ?? 'dead';
    if (outcome === 'reused') {
      for (const relative of family) relative.revoke(now);
      return refusal(
        'auth.refresh_reused',
        'This refresh token was used before, so its sign-in has been ended. Sign in again.',
      );
    }
    const user = token && outcome === 'used' ? await tx.em.findOne(User, token.user_id) : null;
    if (!token || !user)
      return refusal('auth.invalid_refresh_token', 'This refresh token is not valid any more. Sign in again.');
    return this.issuer.issue(tx, user, token.family_id);
  }
}

@CommandHandler(SignOutCommand)
export class SignOutHandler implements ICommandHandler<SignOutCommand> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ refresh_token }: SignOutCommand): Promise<void> {
    await this.transactions.run(async (tx) => {
      const now = new Date();
      for (const token of await openFamily(tx, refresh_token)) token.revoke(now);
    });
  }
}

/** All tokens of the sign-in; who else asks for them waits, so that an exchange and a sign-out can't overlap. */
async function openFamily(tx: Tx, refresh_token: string): Promise<RefreshToken[]> {
  const db = tx.kysely<IdentityDB>();
  const known = await db
    .selectFrom('refresh_tokens')
    .select('family_id')
    .where('token_hash', '=', hashToken(refresh_token))
    .executeTakeFirst();
  if (!known) return [];
  await sql`select pg_advisory_xact_lock(hashtextextended(${known.family_id}, 0))`.execute(db);
  return tx.em.find(RefreshToken, { family_id: known.family_id });
}

function refusal(code: string, message: string): DomainError {
  return new DomainError('unauthenticated', code, message);
}
