import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { AgentDialogues } from '../contracts/agent-dialogues.js';
import { ContainerRuntimes } from '../domain/container-runtime.js';
import { RunDirectories } from '../domain/run-directory.js';
import { AgentMetrics } from './agent-metrics.js';
import { DiskWatch } from '../domain/task-disks.js';
import { ArtifactCollector } from './artifact-collector.js';
import { AttemptSupplies } from './attempt-supplies.js';
import { InstanceCondition } from './instance-condition.js';
import { InstanceJournal } from './instance-journal.js';
import { LaunchJournal } from './launch-journal.js';
import { MessageLog } from './message-log.js';
import { Redactors } from './redactors.js';

/** What every attempt works with; one object, because attempts are not made by the injector. */
@Injectable()
export class AttemptTools {
  // oxlint-disable-next-line max-params -- a bundle is what this class is for
  constructor(
    @Inject(CONFIG) readonly config: Config,
    readonly transactions: Transactions,
    readonly log: MessageLog,
    readonly journal: InstanceJournal,
    readonly launches: LaunchJournal,
    readonly condition: InstanceCondition,
    readonly runtimes: ContainerRuntimes,
    readonly runDirectories: RunDirectories,
    readonly supplies: AttemptSupplies,
    readonly diskWatch: DiskWatch,
    readonly artifacts: ArtifactCollector,
    readonly metrics: AgentMetrics,
    readonly redactors: Redactors,
    readonly queries: QueryBus,
    readonly dialogues: AgentDialogues,
  ) {}
}
