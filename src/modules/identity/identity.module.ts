import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { AuthController } from './api/auth.controller.js';
import { GetAccountHandler } from './app/account.queries.js';
import { RefreshTokensHandler, SignOutHandler } from './app/refresh-tokens.js';
import { RegisterUserHandler } from './app/register-user.js';
import { SignInHandler } from './app/sign-in.js';
import { TokenIssuer } from './app/token-issuer.js';
import { ApiKey } from './domain/api-key.entity.js';
import { PasswordHasher } from './domain/password-hasher.js';
import { RefreshToken } from './domain/refresh-token.entity.js';
import { Ticket } from './domain/ticket.entity.js';
import { User } from './domain/user.entity.js';
import { Argon2PasswordHasher } from './infra/argon2-password-hasher.js';

/** Tables of this module. */
export const identityEntities = [User, RefreshToken, ApiKey, Ticket];

/** Accounts, sign-in and tokens. */
@Module({
  imports: [CqrsModule],
  controllers: [AuthController],
  providers: [
    ...[RegisterUserHandler, SignInHandler, RefreshTokensHandler, SignOutHandler, GetAccountHandler],
    TokenIssuer,
    { provide: PasswordHasher, useClass: Argon2PasswordHasher },
  ],
})
export class IdentityModule {}
