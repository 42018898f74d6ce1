import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import { hashSecret } from '../../../common/auth/authenticator.js';
import { refusal } from '../../../common/auth/refusals.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { RefreshToken } from '../domain/refresh-token.entity.js';
import type { User } from '../domain/user.entity.js';
import { lockUser, type IdentityDB } from './account.js';
import { Sessions, type SignedIn } from './sessions.js';

/**
 * Exchanges a refresh token for a new pair. A token that comes a second time ends its sign-in.
 * @throws DomainError `auth.invalid_refresh_token`, `auth.refresh_reused`, `auth.account_disabled`
 */
export class RefreshTokensCommand extends Command<SignedIn> {
  constructor(readonly refresh_token: string) {
    super();
  }
}

/** Signs out: ends the sign-in that the token is of, access tokens too. An unknown token changes nothing. */
export class SignOutCommand extends Command<void> {
  constructor(readonly refresh_token: string) {
    super();
  }
}

@CommandHandler(RefreshTokensCommand)
export class RefreshTokensHandler implements ICommandHandler<RefreshTokensCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly sessions: Sessions,
    private readonly audit: AuditLog,
  ) {}

  async execute({ refresh_token }: RefreshTokensCommand): Promise<SignedIn> {
    // A refusal is returned, not thrown: what it has ended, and its line in the audit log, have to be committed.
    const result = await this.transactions.run((tx) => this.exchange(tx, refresh_token));
    if (result instanceof DomainError) throw result;
    return result;
  }

  private async exchange(tx: Tx, refresh_token: string): Promise<SignedIn | DomainError> {
    const found = await findToken(tx, refresh_token);
    if (!found) return invalid();
    const { token, user } = found;
    const subject = { type: 'user', id: user.id };
    const outcome = token.use(new Date());
    if (outcome === 'reused') {
      await this.sessions.end(tx, user.id, token.family_id);
      await this.audit.record({ action: 'auth.refresh_reused', actor: null, subject }, tx);
      return new DomainError(
        'unauthenticated',
        'auth.refresh_reused',
        'This refresh token was used before, so its sign-in has been ended. Sign in again.',
      );
    }
    if (outcome === 'used' && !user.disabled_at) return this.sessions.renew(tx, user, token.family_id);
    await this.audit.record({ action: 'auth.refresh_failed', actor: null, subject }, tx);
    return outcome === 'used' ? refusal('account_disabled') : invalid();
  }
}

@CommandHandler(SignOutCommand)
export class SignOutHandler implements ICommandHandler<SignOutCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly sessions: Sessions,
    private readonly audit: AuditLog,
  ) {}

  async execute({ refresh_token }: SignOutCommand): Promise<void> {
    await this.transactions.run(async (tx) => {
      const found = await findToken(tx, refresh_token);
      if (!found) return;
      const { id, role } = found.user;
      const session_id = found.token.family_id;
      if (!(await this.sessions.end(tx, id, session_id))) return;
      const actor = { user_id: id, role, session_id };
      await this.audit.record({ action: 'auth.signed_out', actor, subject: { type: 'user', id } }, tx);
    });
  }
}

/** The token as it is once nobody else can change it any more, and its user. */
async function findToken(tx: Tx, refresh_token: string): Promise<{ token: RefreshToken; user: User } | undefined> {
  const token_hash = hashSecret(refresh_token);
  const known = await tx
    .kysely<IdentityDB>()
    .selectFrom('refresh_tokens')
    .select('user_id')
    .where('token_hash', '=', token_hash)
    .executeTakeFirst();
  const user = known && (await lockUser(tx, known.user_id));
  const token = user && (await tx.em.findOne(RefreshToken, { token_hash }));
  return token ? { token, user } : undefined;
}

function invalid(): DomainError {
  return new DomainError(
    'unauthenticated',
    'auth.invalid_refresh_token',
    'This refresh token is not valid any more. Sign in again.',
  );
}
