import { createHash, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
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

const TOKEN_BYTES = 32; // 256 bits: not to be guessed, so a fast hash is enough

/** How a refresh token is stored and found again. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Issues token pairs. */
@Injectable()
export class TokenIssuer {
  constructor(
    private readonly tokens: TokenService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** A pair for the user; the refresh token's row goes into `tx`, as the newest of its family or the first of one. */
  async issue(tx: Tx, user: UserRow, family_id: string = uuidv7()): Promise<SignedIn> {
    const now = new Date();
    const refresh_token = randomBytes(TOKEN_BYTES).toString('base64url');
    const expires_at = new Date(now.getTime() + this.config.auth.refresh_token_duration * 1000);
    await forgetExpired(tx, user.id, now);
    tx.em.create(
      RefreshToken,
      { id: uuidv7(), user_id: user.id, family_id, token_hash: hashToken(refresh_token), expires_at },
      { persist: true },
    );
    const { access_token, expires_in } = await this.tokens.sign(user.id, user.role);
    return { user: toAccount(user), access_token, refresh_token, token_type: 'Bearer', expires_in };
  }
}

/** Skips what another sign-in of the user is just deleting, so that the two can't block each other. */
async function forgetExpired(tx: Tx, user_id: string, now: Date): Promise<void> {
  const db = tx.kysely<IdentityDB>();
  const expired = db
    .selectFrom('refresh_tokens')
    .select('id')
    .where('user_id', '=', user_id)
    .where('expires_at', '<', now);
  await db.deleteFrom('refresh_tokens').where('id', 'in', expired.forUpdate().skipLocked()).execute();
}
