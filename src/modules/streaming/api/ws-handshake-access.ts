import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { Inject, Injectable } from '@nestjs/common';
import { Authenticator } from '../../../common/auth/authenticator.js';
import type { Principal } from '../../../common/auth/principal.js';
import { agentKeyForbidden } from '../../../common/auth/refusals.js';
import { bearerToken } from '../../../common/auth/token.service.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { inRequest } from '../../../common/http/request-context.js';
import { isAllowedOrigin } from './origin.js';

/** What a client shows besides its headers. */
export interface Shown {
  /** An access token or an API key. */
  token?: string;
  ticket?: string;
}

/** Who may open a socket, of either kind: whoever the HTTP operations let in, and holders of tickets. */
@Injectable()
export class SocketAccess {
  constructor(
    private readonly authenticator: Authenticator,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Whether the page that opens the socket, if it is one, may. */
  allowsOrigin(request: IncomingMessage): boolean {
    return isAllowedOrigin(request, this.config.http.cors_origins);
  }

  /**
   * Who opens the socket. A ticket goes before a token, and is used up.
   * @throws DomainError `auth.required`, `auth.invalid_ticket`, `auth.agent_key_forbidden`, and what
   *   `Authenticator.authenticate` throws
   */
  async admit(request: IncomingMessage, { token, ticket }: Shown): Promise<Principal> {
    const shown = token ?? bearerToken(request.headers.authorization);
    const context = { correlation_id: randomUUID(), address: clientAddress(request, this.config.http.trusted_proxies) };
    const principal = await inRequest(context, () => {
      if (ticket !== undefined) return this.authenticator.redeem(ticket);
      if (shown !== undefined) return this.authenticator.authenticate(shown);
      throw new DomainError(
        'unauthenticated',
        'auth.required',
        'Send an access token or an API key (Authorization: Bearer, ?token=, auth: {token}), or a ticket.',
      );
    });
    if (principal.actor.role === 'agent') throw agentKeyForbidden();
    return principal;
  }
}

/** Where a request really came from, believing as many proxies in front of the server as there are. */
export function clientAddress({ headers, socket }: IncomingMessage, trustedProxies: number): string {
  const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
  const hops = forwarded.map((hop) => hop.trim()).filter((hop) => isIP(hop) !== 0);
  const nearestFirst = [socket.remoteAddress ?? '', ...hops.toReversed()];
  return nearestFirst[Math.min(trustedProxies, nearestFirst.length - 1)] ?? '';
}
