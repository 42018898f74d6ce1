import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { DomainError } from '../errors/domain-error.js';
import { ALLOW_AGENT_KEY, PUBLIC, SESSION_ONLY, type AuthenticatedRequest } from './auth.decorators.js';
import { Authenticator } from './authenticator.js';
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
    const token = bearerToken(request.headers['authorization']);
    if (!token) {
      throw new DomainError(
        'unauthenticated',
        'auth.required',
        'Send an access token or an API key: Authorization: Bearer <token>.',
      );
    }
    const principal = await this.authenticator.authenticate(token);
    const { role, session_id } = principal.actor;
    if (role === 'agent' && !this.isMarked(context, ALLOW_AGENT_KEY)) throw agentKeyForbidden();
    if (session_id === undefined && this.isMarked(context, SESSION_ONLY)) throw sessionRequired();
    request.principal = principal;
    request.actor = principal.actor;
    return true;
  }

  private isMarked(context: ExecutionContext, key: string): boolean {
    return (
      this.reflector.getAllAndOverride<boolean | undefined>(key, [context.getHandler(), context.getClass()]) === true
    );
  }
}
