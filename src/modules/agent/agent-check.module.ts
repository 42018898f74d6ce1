import { Module, type DynamicModule } from '@nestjs/common';
import { ConfigModule } from '../../common/config/config.module.js';
import type { Config } from '../../common/config/config.js';
import { ImageCheck } from './app/image-check/image-check.js';
import { runtimeProviders } from './infra/runtime-providers.js';

/** What it takes to check an image on a machine without a server: the same runtime, no database. */
@Module({})
export class AgentCheckModule {
  static with(config: Config): DynamicModule {
    const imports = [ConfigModule.forRoot(config)];
    return { module: AgentCheckModule, imports, providers: [...runtimeProviders, ImageCheck] };
  }
}
