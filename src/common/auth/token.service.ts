import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { CONFIG } from '../config/config.module.js';
import type { Config } from '../config/config.js';
import { DomainError } from '../errors/domain-error.js';
import { isUuid } from '../validation/id.decorator.js';

const ISSUER = 'kandev';
const AUDIENCE = 'kandev-api';

/** What a sound access token says. Whether the sign-in still holds is not to be seen from it. */
export interface AccessToken {
  user_id: string;
  session_id: string;
  /** Seconds since the epoch. */
  expires_at: number;
}

/** Signs and verifies access tokens: HS256 only, with issuer, audience and expiry. */
@Injectable()
export class TokenService {
  constructor(
    private readonly jwt: JwtService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** A token of a user's sign-in, good for `TOKEN_DURATION` seconds. */
  async sign(user_id: string, session_id: string): Promise<{ access_token: string; expires_in: number }> {
    const expires_in = this.config.auth.token_duration;
    const access_token = await this.jwt.signAsync(
      { sid: session_id },
      {
        secret: this.config.jwt_secret,
        algorithm: 'HS256',
        subject: user_id,
        issuer: ISSUER,
        audience: AUDIENCE,
        expiresIn: expires_in,
      },
    );
    return { access_token, expires_in };
  }

  /** @throws DomainError `auth.invalid_token` or `auth.token_expired` (unauthenticated) */
  async verify(token: string): Promise<AccessToken> {
    try {
      const claims = await this.jwt.verifyAsync<{ sub?: unknown; sid?: unknown; exp?: unknown }>(token, {
        secret: this.config.jwt_secret,
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: AUDIENCE,
      });
      const { sub, sid, exp } = claims;
      if (!isUuid(sub) || !isUuid(sid) || typeof exp !== 'number') throw new Error('claims');
      return { user_id: sub, session_id: sid, expires_at: exp };
    } catch (error) {
      const expired = (error as Error).name === 'TokenExpiredError';
      throw new DomainError(
        'unauthenticated',
        expired ? 'auth.token_expired' : 'auth.invalid_token',
        expired ? 'The access token has expired. Sign in again or refresh it.' : 'The access token is not valid.',
      );
    }
  }
}

/** The token of an `Authorization: Bearer` header, or undefined. */
export function bearerToken(header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header;
  return /^Bearer ([\w.~+/=-]+)$/i.exec(value ?? '')?.[1];
}
