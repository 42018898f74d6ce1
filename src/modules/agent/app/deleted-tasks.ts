import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { TaskDeletedEvent } from '../../task/contracts/task.events.js';
import { artifactPath } from './artifact-collector.js';

/**
 * A deleted task takes its rows with it, and here the bytes of its artifacts. Its workspace stays: what an agent did
 * there may be nowhere else.
 */
@Injectable()
export class DeletedTasks implements OnModuleInit {
  constructor(
    private readonly outbox: OutboxHandlers,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.outbox.on(TaskDeletedEvent.topic, ({ aggregate_id }) => {
      return rm(dirname(artifactPath(this.config, aggregate_id, 'any')), { recursive: true, force: true });
    });
  }
}
