import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DispatchRoom } from './dispatch-room.js';
import { DispatchSignal } from './dispatch-signal.js';
import { RunClaims } from './run-claims.js';
import { RunDriver } from './run-driver.js';
import type { ClaimedRun } from './run-rows.js';

const POLL_MS = 2_000; // the net under the signal, and what runs queued by other processes wait at most

/** What is being launched gets so long at a shutdown; the next process goes on with what is left. */
const LAUNCHES_MS = 2_000;

/** Claims queued runs while there is room on this host, as the claim itself sees to, and on its disk. */
@Injectable()
export class RunDispatcher implements OnModuleInit, Worker {
  readonly name = 'run-dispatcher';
  readonly roles = ['runner'] as const;
  private readonly logger = new Logger(RunDispatcher.name);
  private running: Promise<void> | undefined;
  private readonly driving = new Set<Promise<void>>();
  private stopping = false;

  constructor(
    private readonly claims: RunClaims,
    private readonly driver: RunDriver,
    private readonly signal: DispatchSignal,
    private readonly workers: Workers,
    private readonly room: DispatchRoom,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.running = this.loop();
  }

  /** No claim is begun after this call; the one that is under way is launched. */
  async drain(): Promise<void> {
    this.stopping = true;
    this.signal.ring();
    await this.running;
    await Promise.race([Promise.all(this.driving), sleep(LAUNCHES_MS, undefined, { ref: false })]);
  }

  stop(): Promise<void> {
    return this.drain();
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
    while ((await this.room.isThere()) && !this.stopping) {
      const run = await this.claims.claimNext();
      if (!run) return;
      this.logger.log({ run_id: run.id, task_id: run.task_id, attempt: run.attempt, epoch: run.epoch }, 'run claimed');
      faultPoint('run.claimed');
      // Not waited for: the next one need not, and a place is held by its row.
      const driving = this.drive(run).finally(() => this.driving.delete(driving));
      this.driving.add(driving);
    }
  }

  private async drive(run: ClaimedRun): Promise<void> {
    await this.driver.drive(run).catch((error: unknown) => {
      this.logger.error({ err: error, run_id: run.id }, 'a run could not be driven; again with the next heartbeat');
    });
  }
}
