import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { JwtModule } from '@nestjs/jwt';
import { AccessNews } from './access-news.js';
import { AgentKeys } from './agent-keys.js';
import { AuthGuard } from './auth.guard.js';
import { Authenticator } from './authenticator.js';
import { KeyUses } from './key-uses.js';
import { TokenService } from './token.service.js';

/** Who asks, for every module, and the guard in front of every operation. */
@Global()
@Module({
  imports: [JwtModule.register({}), CqrsModule],
  providers: [AccessNews, TokenService, AgentKeys, KeyUses, Authenticator, { provide: APP_GUARD, useClass: AuthGuard }],
  exports: [AccessNews, TokenService, AgentKeys, Authenticator],
})
export class AuthModule {}
