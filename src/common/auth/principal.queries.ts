import { Query } from '../bus/contracts.js';
import type { Actor } from './actor.js';

/** Why somebody who shows a token, a key or a ticket is not let in; each is the end of a code `auth.…`. */
export type Refusal =
  'user_gone' | 'account_disabled' | 'session_ended' | 'invalid_key' | 'key_expired' | 'invalid_ticket';

/** Who somebody is, with the role of now; or why not. `expires_at`: RFC 3339; null where what was shown says it, or never. */
export type Resolution = { actor: Actor; expires_at: string | null } | { refused: Refusal };

/** Whether a sign-in still holds, and the role its user has now. */
export class ResolveSessionQuery extends Query<Resolution> {
  constructor(
    readonly user_id: string,
    readonly session_id: string,
  ) {
    super();
  }
}

/** Who a key speaks for, by its SHA-256 in hex. */
export class ResolveApiKeyQuery extends Query<Resolution> {
  constructor(readonly key_hash: string) {
    super();
  }
}

/**
 * Whether those who were let in before (users, by session or key) would be let in again, and with which role; one
 * answer for each, in their order.
 */
export class ResolveActorsQuery extends Query<Resolution[]> {
  constructor(readonly actors: readonly Actor[]) {
    super();
  }
}

/** Whether the agent instance is one that still works: its key dies with the attempt. */
export class ResolveAgentQuery extends Query<{ live: boolean }> {
  constructor(readonly agent_id: string) {
    super();
  }
}
