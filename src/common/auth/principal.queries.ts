import { Query } from '../bus/contracts.js';
import type { Actor, UserRole } from './actor.js';

/** Whether a sign-in still holds, and the role its user has now; null when it was ended, or the account disabled or deleted. */
export class ResolveSessionQuery extends Query<{ role: UserRole } | null> {
  constructor(
    readonly user_id: string,
    readonly session_id: string,
  ) {
    super();
  }
}

/** Who a key speaks for, by its SHA-256 in hex; null when it is unknown, revoked or expired, or its user may not sign in. */
export class ResolveApiKeyQuery extends Query<{ actor: Actor; expires_at: string | null } | null> {
  constructor(readonly key_hash: string) {
    super();
  }
}

/** Whether the agent instance is one that still works: its key dies with the attempt. */
export class ResolveAgentQuery extends Query<{ live: boolean }> {
  constructor(readonly agent_id: string) {
    super();
  }
}
