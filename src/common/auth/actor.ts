/** The role of an account on the whole server. Roles on a board are the task module's. */
export type UserRole = 'admin' | 'member';

/** Who asks. Travels with every command and query, so it is JSON-safe. */
export interface Actor {
  /** `null` for the server itself and for agents. */
  user_id: string | null;
  /** `agent`: an agent instance with its own key, good for little; see {@link AllowAgentKey}. */
  role: UserRole | 'system' | 'agent';
  /** The sign-in that an access token is of. */
  session_id?: string;
  /** The key that a script speaks with. */
  api_key_id?: string;
  /** The instance whose key it is, for the role `agent`. */
  agent_id?: string;
}

/** The server acting on its own account: passes every access check, and is `null` in histories. */
export const SYSTEM: Actor = Object.freeze({ user_id: null, role: 'system' });
