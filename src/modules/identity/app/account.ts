import type { InferKyselyDB } from '@mikro-orm/postgresql';
import type { Selectable } from 'kysely';
import type { UserRole } from '../../../common/auth/actor.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { ApiKeySchema } from '../domain/api-key.entity.js';
import type { RefreshTokenSchema } from '../domain/refresh-token.entity.js';
import type { TicketSchema } from '../domain/ticket.entity.js';
import { User, type UserSchema } from '../domain/user.entity.js';

/** This module's tables, for Kysely. */
export type IdentityDB = InferKyselyDB<
  typeof UserSchema | typeof RefreshTokenSchema | typeof ApiKeySchema | typeof TicketSchema
>;

/** An account as its owner and administrators see it. Times are RFC 3339. */
export interface Account {
  id: string;
  email: string;
  username: string;
  role: UserRole;
  disabled: boolean;
  created_at: string;
  updated_at: string;
}

/** A user's row, read by SQL or by the ORM. */
export type UserRow = Pick<
  Selectable<IdentityDB['users']>,
  'id' | 'email' | 'username' | 'role' | 'created_at' | 'updated_at'
> & { disabled_at?: Date | null };

/** The columns of a {@link UserRow}. */
export const ACCOUNT_COLUMNS = [
  'id',
  'email',
  'username',
  'role',
  'disabled_at',
  'created_at',
  'updated_at',
] as const satisfies (keyof UserRow)[];

/** The {@link Account} of a user's row. */
export function toAccount({ id, email, username, role, disabled_at, created_at, updated_at }: UserRow): Account {
  const times = { created_at: toTimestamp(created_at), updated_at: toTimestamp(updated_at) };
  return { id, email, username, role, disabled: Boolean(disabled_at), ...times };
}

/**
 * Loads a user for as long as the transaction takes. Whatever starts, renews or ends sign-ins and keys of a user holds
 * them, so that none is started while all are ended. Undefined when there is no such user.
 */
export async function lockUser(tx: Tx, user_id: string): Promise<User | undefined> {
  const users = tx.kysely<IdentityDB>().selectFrom('users').select('id').where('id', '=', user_id);
  const row = await users.forNoKeyUpdate().executeTakeFirst();
  return row && tx.em.findOneOrFail(User, user_id);
}
