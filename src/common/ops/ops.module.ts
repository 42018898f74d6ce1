import { Global, Module } from '@nestjs/common';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import { Metrics } from './metrics.js';
import { ServerAddress } from './server-address.js';

/** What operators look at. */
@Global()
@Module({
  controllers: [HealthController, MetricsController],
  providers: [ServerAddress, Metrics],
  exports: [ServerAddress, Metrics],
})
export class OpsModule {}
