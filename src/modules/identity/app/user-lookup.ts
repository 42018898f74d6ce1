import { sql, type Kysely } from 'kysely';
import type { IdentityDB } from './account.js';

/** What people sign in by. */
export type Login = { email: string } | { username: string };

/** The user who signs in by this, in whatever case. */
export function withLogin(db: Kysely<IdentityDB>, login: Login) {
  const users = db.selectFrom('users');
  return 'email' in login
    ? users.where('email', '=', login.email.toLowerCase())
    : users.where(sql`lower(username)`, '=', login.username.toLowerCase());
}
