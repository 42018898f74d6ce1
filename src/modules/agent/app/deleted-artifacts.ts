import { readdir, rm } from 'node:fs/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { SYSTEM } from '../../../common/auth/actor.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Housekeeping, ON_ITS_HOST } from '../../../common/ops/housekeeping.js';
import { isUuid } from '../../../common/validation/id.decorator.js';
import { FindVisibleTasksQuery } from '../../task/contracts/task.queries.js';
import { artifactFolder } from './artifact-paths.js';

const EVERY_MS = 600_000; // a list of folders and, for each thousand of them, one query
const AT_ONCE = 1_000;

/**
 * The bytes of artifacts whose task is gone go too, on each host that has some: the process that hears of the deletion
 * removes its own at once, and none of the others'.
 */
@Injectable()
export class DeletedArtifacts implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly queries: QueryBus,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    const run = (): Promise<void> => this.sweep();
    this.housekeeping.add({ name: 'deleted artifacts', roles: ON_ITS_HOST, everyMs: EVERY_MS, run });
  }

  async sweep(): Promise<void> {
    const names = await readdir(this.config.artifacts_directory).catch(() => []);
    const ids = names.filter(isUuid);
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      const task_ids = ids.slice(start, start + AT_ONCE);
      const tasks = await this.queries.execute(new FindVisibleTasksQuery(SYSTEM, { task_ids }));
      const there = new Set(tasks.map(({ task_id }) => task_id));
      const gone = task_ids.filter((id) => !there.has(id));
      for (const id of gone) await rm(artifactFolder(this.config, id), { recursive: true, force: true });
    }
  }
}
