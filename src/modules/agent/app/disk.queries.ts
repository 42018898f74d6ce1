import { Inject } from '@nestjs/common';
import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { GetDiskQuery, type DiskRoom } from '../contracts/disk.queries.js';
import { TaskDisks } from '../domain/task-disks.js';

@QueryHandler(GetDiskQuery)
export class GetDiskHandler implements IQueryHandler<GetDiskQuery> {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly disks: TaskDisks,
  ) {}

  async execute(): Promise<DiskRoom> {
    const { min_free_bytes } = this.config.workspace;
    const free_bytes = await this.disks.free();
    return { free_bytes, min_free_bytes, under_pressure: free_bytes < min_free_bytes };
  }
}
