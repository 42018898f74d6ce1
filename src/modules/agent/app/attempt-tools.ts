import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ContainerRuntimes } from '../domain/container-runtime.js';
import { RunDirectories } from '../domain/run-directory.js';
import { Workspaces } from '../domain/workspaces.js';
import { ArtifactCollector } from './artifact-collector.js';
import { InstanceJournal } from './instance-journal.js';
import { LaunchSpecs } from './launch-spec.js';
import { MessageLog } from './message-log.js';

/** What every attempt works with; one object, because attempts are not made by the injector. */
@Injectable()
export class AttemptTools {
  // oxlint-disable-next-line max-params -- a bundle is what this class is for
  constructor(
    @Inject(CONFIG) readonly config: Config,
    readonly transactions: Transactions,
    readonly log: MessageLog,
    readonly journal: InstanceJournal,
    readonly runtimes: ContainerRuntimes,
    readonly runDirectories: RunDirectories,
    readonly workspaces: Workspaces,
    readonly specs: LaunchSpecs,
    readonly artifacts: ArtifactCollector,
  ) {}
}
