import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { DomainError } from '../errors/domain-error.js';
import type { Actor } from './actor.js';
import { AGENT_KEY_PREFIX, AgentKeys } from './agent-keys.js';
import { KeyUses } from './key-uses.js';
import { RedeemTicketCommand } from './principal.commands.js';
import { NEVER, type Principal } from './principal.js';
import { PrincipalCache } from './principal-cache.js';
import {
  ResolveActorsQuery,
  ResolveAgentQuery,
  ResolveApiKeyQuery,
  ResolveSessionQuery,
  type Resolution,
} from './principal.queries.js';
import { refusal } from './refusals.js';
import { TokenService } from './token.service.js';

/** What a user's API key begins with. */
export const API_KEY_PREFIX = 'kdv_';

/** How a secret of 256 random bits is stored and found again: not to be guessed, so a fast hash is enough. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Finds out who asks. Answers on users are kept for two seconds; whoever ends what they rest on calls {@link forget}. */
@Injectable()
export class Authenticator {
  private readonly cache = new PrincipalCache();
  private readonly listeners: (() => void)[] = [];

  constructor(
    private readonly tokens: TokenService,
    private readonly agentKeys: AgentKeys,
    private readonly keyUses: KeyUses,
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
  ) {}

  /**
   * Who a bearer text speaks for: an access token, a user's API key or an agent's key.
   * @throws DomainError `auth.invalid_token`, `auth.token_expired`, `auth.session_ended`, `auth.user_gone`,
   *   `auth.account_disabled`, `auth.invalid_key`, `auth.key_expired`, `auth.agent_ended` (all unauthenticated)
   */
  async authenticate(text: string): Promise<Principal> {
    // An agent's key dies with its attempt, and nobody who ends one calls us: it is looked at each time.
    if (text.startsWith(AGENT_KEY_PREFIX)) return this.lookAtAgentKey(text);
    let principal = await this.cache.get(text, () => this.look(text));
    // It has ended while it was kept: looked at again, for the right words.
    if (principal.expires_at * 1000 <= Date.now()) principal = await this.look(text);
    if (principal.actor.api_key_id !== undefined) this.keyUses.note(principal.actor);
    return principal;
  }

  /** Uses up a ticket. @throws DomainError `auth.invalid_ticket`, and what {@link authenticate} throws */
  async redeem(ticket: string): Promise<Principal> {
    return toPrincipal(await this.commands.execute(new RedeemTicketCommand(hashSecret(ticket))));
  }

  /**
   * Asks again, past the cache, whether those who were let in would be let in now, and still are what they were. For
   * each, in their order: null, or why not (`auth.role_changed`, and what {@link authenticate} throws). A member who
   * has become an administrator is well as they are.
   */
  async recheck(actors: readonly Actor[]): Promise<(DomainError | null)[]> {
    const now = await this.queries.execute(new ResolveActorsQuery(actors));
    return actors.map((before, i) => {
      const found = now[i] ?? { refused: 'session_ended' };
      if ('refused' in found) return refusal(found.refused);
      if (found.actor.role === before.role || found.actor.role === 'admin') return null;
      return new DomainError('unauthenticated', 'auth.role_changed', 'Your role has changed. Connect again.');
    });
  }

  /** Calls back whenever access may have ended in this process. */
  onForget(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Looks everybody up again. To be called after the commit of whatever ends a sign-in or a key, or changes a role. */
  forget(): void {
    this.cache.clear();
    for (const listener of this.listeners) listener();
  }

  private async look(text: string): Promise<Principal> {
    if (text.startsWith(API_KEY_PREFIX)) {
      return toPrincipal(await this.queries.execute(new ResolveApiKeyQuery(hashSecret(text))));
    }
    const { user_id, session_id, expires_at } = await this.tokens.verify(text);
    const { actor } = toPrincipal(await this.queries.execute(new ResolveSessionQuery(user_id, session_id)));
    return { actor, expires_at };
  }

  private async lookAtAgentKey(key: string): Promise<Principal> {
    const agent_id = this.agentKeys.holder(key);
    if (agent_id === null) throw refusal('invalid_key');
    const { live } = await this.queries.execute(new ResolveAgentQuery(agent_id));
    if (!live) {
      throw new DomainError('unauthenticated', 'auth.agent_ended', 'This agent has ended, and its key with it.');
    }
    return { actor: { user_id: null, role: 'agent', agent_id }, expires_at: NEVER };
  }
}

function toPrincipal(resolution: Resolution): Principal {
  if ('refused' in resolution) throw refusal(resolution.refused);
  const { actor, expires_at } = resolution;
  return { actor, expires_at: expires_at === null ? NEVER : Date.parse(expires_at) / 1000 };
}
