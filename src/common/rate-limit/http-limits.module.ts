import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import { CONFIG } from '../config/config.module.js';
import type { Config } from '../config/config.js';
import { FailureLimit } from './failure-limit.js';
import { LimiterStorage } from './limiter-storage.js';
import { limitOf, WINDOW_SECONDS, type CountedRequest } from './principal.js';
import { RateLimitGuard } from './rate-limit.guard.js';
import { RateLimiter } from './rate-limiter.js';

/** The limits of HTTP requests. To be imported after `AuthModule`: guards run in the order of their modules. */
@Global()
@Module({
  imports: [
    ThrottlerModule.forRootAsync({
      inject: [CONFIG, RateLimiter],
      useFactory: (config: Config, limiter: RateLimiter) => ({
        storage: new LimiterStorage(limiter),
        throttlers: [
          {
            ttl: WINDOW_SECONDS * 1000,
            limit: (context) => limitOf(context.switchToHttp().getRequest<CountedRequest>(), config),
            skipIf: (context) => limitOf(context.switchToHttp().getRequest<CountedRequest>(), config) === 0,
          },
        ],
      }),
    }),
  ],
  providers: [FailureLimit, { provide: APP_GUARD, useClass: RateLimitGuard }],
  exports: [FailureLimit],
})
export class HttpLimitsModule {}
