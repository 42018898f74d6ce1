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
import type { Actor } from '../../../common/auth/actor.js';
import { StreamQuotas, type Ending } from '../app/stream-quotas.js';
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
  private readonly admitted = new WeakSet<Ending>();

  constructor(
    private readonly authenticator: Authenticator,
    private readonly quotas: StreamQuotas,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Whether the page that opens the socket, if it is one, may. */
  allowsOrigin(request: IncomingMessage): boolean {
    const { cors_origins, trusted_proxies } = this.config.http;
    return isAllowedOrigin(request, cors_origins, trusted_proxies > 0);
  }

  /**
   * Who opens the socket. A ticket goes before a token, and is used up. Counted as one of the user's connections until
   * `transport` closes, whatever becomes of the handshake; as a failure of the address where nobody is let in.
   * @throws DomainError `auth.required`, `auth.invalid_ticket`, `auth.agent_key_forbidden`, `request.too_many`,
   *   `stream.too_many_connections`, `stream.already_connected`, and what `Authenticator.authenticate` throws
   */
  async admit(request: IncomingMessage, shown: Shown, transport: Ending = request.socket): Promise<Principal> {
    // Else one transport could knock a thousand times at once, and be a thousand clients.
    if (this.admitted.has(transport)) {
      throw new DomainError('conflict', 'stream.already_connected', 'One connection is for one client.');
    }
    this.admitted.add(transport);
    const atEnd = whenEnded(transport);
    const principal = await this.authenticate(request, shown).catch(async (error: unknown) => {
      const isTheirs = error instanceof DomainError && error.kind !== 'internal' && error.kind !== 'unavailable';
      if (isTheirs) await this.countFailure(this.addressOf(request));
      throw error;
    });
    await this.quotas.count(principal.actor);
    atEnd(this.quotas.take(principal.actor));
    return principal;
  }

  /**
   * Counts an event stream, whose user the HTTP guard knows, as one of their connections until `response` closes.
   * @throws DomainError `stream.too_many_connections`
   */
  admitStream(actor: Actor, response: Ending): void {
    whenEnded(response)(this.quotas.take(actor));
  }

  /** Counts somebody who was not let in. @throws DomainError `request.too_many` */
  countFailure(address: string): Promise<void> {
    return this.quotas.countFailure(address);
  }

  /** Where the request really came from. */
  addressOf(request: IncomingMessage): string {
    return clientAddress(request, this.config.http.trusted_proxies);
  }

  private async authenticate(request: IncomingMessage, { token, ticket }: Shown): Promise<Principal> {
    const shown = token ?? bearerToken(request.headers.authorization);
    const context = { correlation_id: randomUUID(), address: this.addressOf(request) };
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

/**
 * Listens from now on: afterwards it could not be told whether the transport ended while somebody was looked up. What
 * is returned takes what is to be done then, at once if it has ended by now.
 */
function whenEnded(transport: Ending): (act: () => void) => void {
  let isOver = transport.destroyed === true || transport.readyState === 'closed';
  let act: (() => void) | undefined;
  transport.once('close', () => {
    isOver = true;
    act?.();
  });
  return (wanted) => {
    if (isOver) wanted();
    else act = wanted;
  };
}

/** Where a request really came from, believing as many proxies in front of the server as there are. */
export function clientAddress({ headers, socket }: IncomingMessage, trustedProxies: number): string {
  const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
  const hops = forwarded.map((hop) => hop.trim()).filter((hop) => isIP(hop) !== 0);
  const nearestFirst = [socket.remoteAddress ?? '', ...hops.toReversed()];
  return nearestFirst[Math.min(trustedProxies, nearestFirst.length - 1)] ?? '';
}
