import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { DomainError } from '../errors/domain-error.js';
import { PUBLIC, type AuthenticatedRequest } from './auth.decorators.js';
import { bearerToken, TokenService } from './token.service.js';

/** Closes every HTTP operation that is not marked `@Public()` to callers without a valid access token. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: TokenService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http') return true; // gateways check at the handshake
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC, [context.getHandler(), context.getClass()]))
      return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const token = bearerToken(request.headers['authorization']);
    if (!token) {
      throw new DomainError(
        'unauthenticated',
        'auth.required',
        'Send an access token: Authorization: Bearer <access_token>.',
      );
    }
    request.actor = (await this.tokens.verify(token)).actor;
    return true;
  }
}
