import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { DomainError } from '../errors/domain-error.js';
import {
  ALLOW_AGENT_KEY,
  CREDENTIALS_IN_QUERY,
  PUBLIC,
  SESSION_ONLY,
  type AuthenticatedRequest,
} from './auth.decorators.js';
import { Authenticator } from './authenticator.js';
import type { Principal } from './principal.js';
import { agentKeyForbidden, sessionRequired } from './refusals.js';
import { bearerToken } from './token.service.js';

/**
 * Closes every HTTP operation that is not marked `@Public()` to callers without a valid access token or key, and the
 * ones that are marked so to keys.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http') return true; // gateways check at the handshake
    if (this.isMarked(context, PUBLIC)) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const principal = await this.authenticate(request, this.isMarked(context, CREDENTIALS_IN_QUERY));
    const { role, session_id } = principal.actor;
    if (role === 'agent' && !this.isMarked(context, ALLOW_AGENT_KEY)) throw agentKeyForbidden();
    if (session_id === undefined && this.isMarked(context, SESSION_ONLY)) throw sessionRequired();
    request.principal = principal;
    request.actor = principal.actor;
    return true;
  }

  /** A ticket goes before a token, as with sockets, and is used up; a header goes before `?token=`. */
  private async authenticate(request: AuthenticatedRequest, inQuery: boolean): Promise<Principal> {
    const query = (inQuery ? request.query : undefined) as Record<string, unknown> | undefined;
    const ticket = textOf(query?.['ticket']);
    if (ticket !== undefined) return this.authenticator.redeem(ticket);
    const token = bearerToken(request.headers['authorization']) ?? textOf(query?.['token']);
    if (token !== undefined) return this.authenticator.authenticate(token);
    const ways = inQuery ? ', ?token=, or a ?ticket=' : '';
    throw new DomainError(
      'unauthenticated',
      'auth.required',
      `Send an access token or an API key: Authorization: Bearer <token>${ways}.`,
    );
  }

  private isMarked(context: ExecutionContext, key: string): boolean {
    return (
      this.reflector.getAllAndOverride<boolean | undefined>(key, [context.getHandler(), context.getClass()]) === true
    );
  }
}

/** An empty parameter is none. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
