import type { InferKyselyDB } from '@mikro-orm/postgresql';
import type { Selectable } from 'kysely';
import type { UserRole } from '../../../common/auth/actor.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { RefreshTokenSchema } from '../domain/refresh-token.entity.js';
import type { UserSchema } from '../domain/user.entity.js';

/** This module's tables, for Kysely. */
export type IdentityDB = InferKyselyDB<typeof UserSchema | typeof RefreshTokenSchema>;

/** An account as its owner sees it. Times are RFC 3339. */
export interface Account {
  id: string;
  email: string;
  username: string;
  role: UserRole;
  created_at: string;
  updated_at: string;
}

/** A user's row, read by SQL or by the ORM. */
export type UserRow = Pick<Selectable<IdentityDB['users']>, keyof Account>;

/** The {@link Account} of a user's row. */
export function toAccount({ id, email, username, role, created_at, updated_at }: UserRow): Account {
  return { id, email, username, role, created_at: toTimestamp(created_at), updated_at: toTimestamp(updated_at) };
}
