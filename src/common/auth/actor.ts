/** The role of an account on the whole server. Roles on a board are the task module's. */
export type UserRole = 'admin' | 'member';

/** Who asks. Travels with every command and query, so it is JSON-safe. */
export interface Actor {
  /** `null` for the server itself. */
  user_id: string | null;
  role: UserRole | 'system';
}

/** The server acting on its own account: passes every access check, and is `null` in histories. */
export const SYSTEM: Actor = Object.freeze({ user_id: null, role: 'system' });
