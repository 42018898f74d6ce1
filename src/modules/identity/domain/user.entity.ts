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
export class User extends UserSchema.class {
  /** May administrate the server now. */
  isActiveAdmin(): boolean {
    return this.role === 'admin' && !this.disabled_at;
  }

  /** False when that is the role already. */
  changeRole(role: UserRole): boolean {
    if (this.role === role) return false;
    this.role = role;
    return true;
  }

  /** Lets the account sign in no more, or again; false when that is so already. */
  setDisabled(disabled: boolean, now: Date): boolean {
    if (Boolean(this.disabled_at) === disabled) return false;
    this.disabled_at = disabled ? now : null;
    return true;
  }

  changePassword(password_hash: string): void {
    this.password_hash = password_hash;
  }
}
UserSchema.setClass(User);
