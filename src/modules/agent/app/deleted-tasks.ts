import { rm } from 'node:fs/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { TaskDeletedEvent } from '../../task/contracts/task.events.js';
import type { AgentDB } from './agent-rows.js';
import { artifactFolder } from './artifact-paths.js';

/**
 * A deleted task takes its rows with it, and here the bytes of its artifacts. Its workspace goes too, once what is
 * only there is rescued: that takes its time, so it is asked for here and done by {@link WorkspaceKeeper}.
 */
@Injectable()
export class DeletedTasks implements OnModuleInit {
  constructor(
    private readonly outbox: OutboxHandlers,
    private readonly transactions: Transactions,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.outbox.on(TaskDeletedEvent.topic, async ({ aggregate_id }) => {
      await this.transactions
        .kysely<AgentDB>()
        .updateTable('workspaces')
        .set({ state: 'REMOVING', updated_at: new Date() })
        .where('task_id', '=', aggregate_id)
        .where('state', 'in', ['READY', 'PREPARING'])
        .execute();
      await rm(artifactFolder(this.config, aggregate_id), { recursive: true, force: true });
    });
  }
}
