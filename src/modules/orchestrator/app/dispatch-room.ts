import { Injectable, Logger } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { GetDiskQuery } from '../../agent/contracts/disk.queries.js';
import { ThisHost } from './this-host.js';

/** Whether this process may take runs for its host at all, before it asks the queue. */
@Injectable()
export class DispatchRoom {
  private readonly logger = new Logger(DispatchRoom.name);
  private underPressure = false;

  constructor(
    private readonly host: ThisHost,
    private readonly queries: QueryBus,
  ) {}

  /** It serves the host, and the disk has room for what an agent writes; told when that changes. */
  async isThere(): Promise<boolean> {
    if (!this.host.isServed) return false;
    const { under_pressure, ...bytes } = await this.queries.execute(new GetDiskQuery());
    if (under_pressure !== this.underPressure) {
      if (under_pressure)
        this.logger.warn(bytes, 'the disk is nearly full: no run is dispatched (KANDEV_MIN_FREE_DISK_BYTES)');
      else this.logger.log(bytes, 'the disk has room again: runs are dispatched');
    }
    this.underPressure = under_pressure;
    return !under_pressure;
  }
}
