import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { GetDiskQuery } from '../../agent/contracts/disk.queries.js';
import { DispatchSignal } from './dispatch-signal.js';
import { RunClaims } from './run-claims.js';
import { RunDriver } from './run-driver.js';

const POLL_MS = 2_000; // the net under the signal, and what runs queued by other processes wait at most

/** Claims queued runs while there is room on this host, as the claim itself sees to, and on its disk. */
@Injectable()
export class RunDispatcher implements OnModuleInit, Worker {
  readonly name = 'run-dispatcher';
  private readonly logger = new Logger(RunDispatcher.name);
  private running: Promise<void> | undefined;
  private stopping = false;
  private underPressure = false;

  constructor(
    private readonly claims: RunClaims,
    private readonly driver: RunDriver,
    private readonly signal: DispatchSignal,
    private readonly workers: Workers,
    private readonly queries: QueryBus,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.signal.ring();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      await this.dispatch().catch((error: unknown) =>
        this.logger.error({ err: error }, 'dispatching failed; again soon'),
      );
      if (!this.stopping) await this.signal.wait(POLL_MS);
    }
  }

  private async dispatch(): Promise<void> {
    while (!this.stopping && (await this.hasDisk())) {
      const run = await this.claims.claimNext();
      if (!run) return;
      this.logger.log({ run_id: run.id, task_id: run.task_id, attempt: run.attempt, epoch: run.epoch }, 'run claimed');
      faultPoint('run.claimed');
      await this.driver.drive(run);
    }
  }

  /** Whether the disk has room for what an agent writes; told when that changes. */
  private async hasDisk(): Promise<boolean> {
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
