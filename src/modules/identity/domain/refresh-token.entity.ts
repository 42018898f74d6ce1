import { defineEntity, p } from '@mikro-orm/postgresql';

export const RefreshTokenSchema = defineEntity({
  name: 'RefreshToken',
  tableName: 'refresh_tokens',
  properties: {
    id: p.uuid().primary(),
    user_id: p.uuid(),
    /** All tokens that descend from one sign-in. */
    family_id: p.uuid(),
    /** SHA-256 of the token, hex: the token itself is never stored. */
    token_hash: p.string().length(64),
    expires_at: p.datetime(3),
    used_at: p.datetime(3).nullable(),
    revoked_at: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** A long-lived token that is exchanged, once, for a new pair. */
export class RefreshToken extends RefreshTokenSchema.class {
  /**
   * Takes the token for its one exchange; says what came of it. A `reused` one was stolen, or its owner's copy was:
   * the whole family has to go.
   */
  use(now: Date): 'used' | 'reused' | 'dead' {
    if (this.used_at) return 'reused';
    if (this.revoked_at || this.expires_at <= now) return 'dead';
    this.used_at = now;
    return 'used';
  }

  revoke(now: Date): void {
    this.revoked_at ??= now;
  }
}
RefreshTokenSchema.setClass(RefreshToken);
