import { defineEntity, p } from '@mikro-orm/postgresql';
import type { UserRole } from '../../../common/auth/actor.js';

export const UserSchema = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: p.uuid().primary().defaultRaw('gen_random_uuid()'),
    /** In lower case. */
    email: p.string().length(255),
    username: p.string().length(100),
    /** argon2id, in PHC form. */
    password_hash: p.string().length(255).hidden(),
    role: p.string().length(20).$type<UserRole>().default('member'),
    /** Since when the account may not sign in; null while it may. */
    disabled_at: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
  },
  checks: [{ name: 'users_role_check', expression: "role in ('admin', 'member')" }],
});

/** An account. */
export class User extends UserSchema.class {}
UserSchema.setClass(User);
