import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { ApiKeyController } from './api/api-key.controller.js';
import { AuthController } from './api/auth.controller.js';
import { UserController } from './api/user.controller.js';
import { CreateApiKeyHandler, ListApiKeysHandler, RevokeApiKeyHandler } from './app/api-key.crud.js';
import { ChangePasswordHandler } from './app/change-password.js';
import { CreateTicketHandler } from './app/create-ticket.js';
import { ForgetExpired } from './app/forget-expired.js';
import { NoteApiKeyUseHandler } from './app/note-key-use.js';
import { RefreshTokensHandler, SignOutHandler } from './app/refresh-tokens.js';
import { RegisterUserHandler } from './app/register-user.js';
import { RedeemTicketHandler, ResolveApiKeyHandler, ResolveSessionHandler } from './app/resolve-principal.queries.js';
import { Sessions } from './app/sessions.js';
import { SignInThrottle } from './app/sign-in-throttle.js';
import { ResolveActorsHandler } from './app/resolve-actors.query.js';
import { SignInHandler } from './app/sign-in.js';
import { UpdateUserHandler } from './app/update-user.js';
import {
  FindSoleUserHandler,
  FindAuthorHandler,
  FindUsersHandler,
  GetUserHandler,
  ListUsersHandler,
  LookUpUserHandler,
} from './app/user.queries.js';
import { ApiKey } from './domain/api-key.entity.js';
import { PasswordHasher } from './domain/password-hasher.js';
import { RefreshToken } from './domain/refresh-token.entity.js';
import { Ticket } from './domain/ticket.entity.js';
import { User } from './domain/user.entity.js';
import { Argon2PasswordHasher } from './infra/argon2-password-hasher.js';

/** Tables of this module. */
export const identityEntities = [User, RefreshToken, ApiKey, Ticket];

/** Accounts, sign-ins, keys and tickets. */
@Module({
  imports: [CqrsModule],
  controllers: [AuthController, UserController, ApiKeyController],
  providers: [
    ...[RegisterUserHandler, SignInHandler, RefreshTokensHandler, SignOutHandler, ChangePasswordHandler],
    ...[GetUserHandler, ListUsersHandler, LookUpUserHandler, FindUsersHandler, FindAuthorHandler, UpdateUserHandler],
    FindSoleUserHandler,
    ...[CreateApiKeyHandler, RevokeApiKeyHandler, ListApiKeysHandler, NoteApiKeyUseHandler, CreateTicketHandler],
    ...[ResolveSessionHandler, ResolveApiKeyHandler, ResolveActorsHandler, RedeemTicketHandler],
    ...[Sessions, SignInThrottle, ForgetExpired],
    { provide: PasswordHasher, useClass: Argon2PasswordHasher },
  ],
})
export class IdentityModule {}
