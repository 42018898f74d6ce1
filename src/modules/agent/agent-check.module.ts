import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { ConfigModule } from '../../common/config/config.module.js';
import type { Config } from '../../common/config/config.js';
import { ImageCheck } from './app/image-check/image-check.js';
import { runtimeProviders } from './infra/runtime-providers.js';

/** What it takes to check an image on a machine without a server: the same runtime, no database. */
@Module({})
export class AgentCheckModule {
  /** `dialogues` is the module that has the `TrialDialogues`; without one there is the runtime alone. */
  static with(config: Config, dialogues?: Type): DynamicModule {
    const imports = [ConfigModule.forRoot(config), ...(dialogues ? [dialogues] : [])];
    const providers = [...runtimeProviders, ...(dialogues ? [ImageCheck] : [])];
    return { module: AgentCheckModule, imports, providers };
  }
}
