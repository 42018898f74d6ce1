import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { AuditLog, type AuditAction } from '../../../common/audit/audit-log.js';
import { Authenticator, hashSecret } from '../../../common/auth/authenticator.js';
import { TokenService } from '../../../common/auth/token.service.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { RefreshToken } from '../domain/refresh-token.entity.js';
import { toAccount, type Account, type IdentityDB, type UserRow } from './account.js';

/** What a client gets when it has signed in. */
export interface SignedIn {
  user: Account;
  access_token: string;
  /** Good for one exchange. */
  refresh_token: string;
  token_type: 'Bearer';
  /** Seconds that the access token is good for. */
  expires_in: number;
}

const TOKEN_BYTES = 32; // 256 bits

/**
 * Sign-ins: each is a family of refresh tokens, and its id stands in every access token. Whoever calls holds the user
 * by `lockUser` (or has just made them), so that nobody signs in while all sign-ins are being ended.
 */
@Injectable()
export class Sessions {
  constructor(
    private readonly tokens: TokenService,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditLog,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** A new sign-in of the user, by what the audit log calls `action`. */
  start(tx: Tx, user: UserRow, action: AuditAction): Promise<SignedIn> {
    return this.issue(tx, user, uuidv7(), action);
  }

  /** A new pair of the same sign-in. */
  renew(tx: Tx, user: UserRow, session_id: string): Promise<SignedIn> {
    return this.issue(tx, user, session_id, 'auth.refreshed');
  }

  /** Ends a user's sign-ins, or one of them, with every token, at once. Returns whether any was still going on. */
  async end(tx: Tx, user_id: string, session_id?: string): Promise<boolean> {
    const ended = await tx
      .kysely<IdentityDB>()
      .updateTable('refresh_tokens')
      .set({ revoked_at: new Date() })
      .where('user_id', '=', user_id)
      .where('revoked_at', 'is', null)
      .$if(session_id !== undefined, (query) => query.where('family_id', '=', session_id ?? ''))
      .executeTakeFirst();
    tx.afterCommit(() => this.authenticator.forget());
    return ended.numUpdatedRows > 0n;
  }

  private async issue(tx: Tx, user: UserRow, session_id: string, action: AuditAction): Promise<SignedIn> {
    const refresh_token = randomBytes(TOKEN_BYTES).toString('base64url');
    const expires_at = new Date(Date.now() + this.config.auth.refresh_token_duration * 1000);
    const token_hash = hashSecret(refresh_token);
    tx.em.create(
      RefreshToken,
      { id: uuidv7(), user_id: user.id, family_id: session_id, token_hash, expires_at },
      { persist: true },
    );
    const actor = { user_id: user.id, role: user.role, session_id };
    await this.audit.record({ action, actor, subject: { type: 'user', id: user.id } }, tx);
    const { access_token, expires_in } = await this.tokens.sign(user.id, session_id);
    return { user: toAccount(user), access_token, refresh_token, token_type: 'Bearer', expires_in };
  }
}
