import { Global, Module } from '@nestjs/common';
import { CONFIG } from '../config/config.module.js';
import type { Config } from '../config/config.js';
import { AddressPolicy } from './address-policy.js';

/** Makes the {@link AddressPolicy} of the configuration injectable everywhere. */
@Global()
@Module({
  providers: [
    {
      provide: AddressPolicy,
      useFactory: ({ network }: Config) => new AddressPolicy(network.allowed_private_ranges),
      inject: [CONFIG],
    },
  ],
  exports: [AddressPolicy],
})
export class NetModule {}
