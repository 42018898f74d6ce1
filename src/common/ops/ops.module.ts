import { Global, Module } from '@nestjs/common';
import { HealthController } from './health.controller.js';
import { ServerAddress } from './server-address.js';

/** What operators look at. */
@Global()
@Module({ controllers: [HealthController], providers: [ServerAddress], exports: [ServerAddress] })
export class OpsModule {}
