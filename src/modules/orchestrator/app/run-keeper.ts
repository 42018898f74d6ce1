import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { WakeUp } from '../../../common/bus/wake-up.js';
import { Gate } from '../../../common/ops/gate.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { RunClaims } from './run-claims.js';
import { RunDriver } from './run-driver.js';
import { HEARTBEAT_MS, type ClaimedRun } from './run-rows.js';
import { SelfFence } from './self-fence.js';
import { ThisHost } from './this-host.js';

/** Runs that are driven at once, as after a start: a drive mostly waits for PostgreSQL and the engine. */
const DRIVES_AT_ONCE = 8;
/** What is being driven gets so long at a shutdown; the next process goes on with what is left. */
const DRIVES_MS = 2_000;
/** Between two looks whether the process that serves our host has gone. */
const TURN_MS = 1_000;
/** After a heartbeat that has failed: within a lease it is tried three times, each of which may take its time. */
const FAILED_MS = 1_000;
/** To find out which runs need driving; where that takes longer, all of them are driven: once more never hurts. */
const RESTLESS_MS = 3_000;

/**
 * The reconcile loop of this host. It waits until this process is the one that serves the host, and takes over what the
 * one before has left; then, every few seconds, it says that the host lives, extends the leases, takes over runs whose
 * lease has run out, lets go of runs that were taken from it, and drives each held run towards what its row wants.
 */
@Injectable()
export class RunKeeper implements OnModuleInit, Worker {
  readonly name = 'run-keeper';
  readonly roles = ['runner'] as const;
  private readonly logger = new Logger(RunKeeper.name);
  private readonly bell = new WakeUp();
  private readonly places = new Gate(DRIVES_AT_ONCE);
  private readonly driving = new Map<string, Promise<void>>();
  private running: Promise<void> | undefined;
  private stopping = false;
  private isWaiting = false;
  /** Whether what the process before has left was taken over. */
  private isTakenOver = false;

  constructor(
    private readonly claims: RunClaims,
    private readonly driver: RunDriver,
    private readonly host: ThisHost,
    private readonly fence: SelfFence,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.bell.ring();
    await this.running;
    this.fence.rest(); // agents live on while nobody serves the host, as at any shutdown
    await Promise.race([Promise.all(this.driving.values()), sleep(DRIVES_MS, undefined, { ref: false })]);
    await this.claims.releaseAll();
    await this.host.leave();
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      const restMs = await this.round().catch((error: unknown) => {
        this.logger.error({ err: error }, 'reconciling failed; again soon');
        return FAILED_MS;
      });
      if (!this.stopping) await this.bell.wait(restMs);
    }
  }

  private async round(): Promise<number> {
    const asked = performance.now();
    const service = await this.host.heartbeat();
    if (service === 'elsewhere') return this.waitForTurn();
    this.fence.heard(asked, this.host.hasOthers);
    if (this.isWaiting) this.logger.log('this process serves the host now');
    this.isWaiting = false;
    if (service === 'taken') this.isTakenOver = false;
    await this.takeOver(this.isTakenOver ? 'expired' : 'all');
    this.isTakenOver = true;
    await this.keep();
    return HEARTBEAT_MS;
  }

  /** Another process of this home serves the host: what this one still has of it is that one's. */
  private async waitForTurn(): Promise<number> {
    this.fence.rest();
    if (!this.isWaiting) {
      this.logger.warn(
        'another process with this KANDEV_HOME serves this host: this one takes no runs until that one has gone',
      );
      await this.claims.releaseAll();
      for (const id of this.driver.all()) await this.driver.release(id);
    }
    this.isWaiting = true;
    return TURN_MS;
  }

  private async takeOver(which: 'all' | 'expired'): Promise<void> {
    for (const run of await this.claims.takeOver(which)) {
      this.logger.warn({ run_id: run.id, task_id: run.task_id, state: run.state, epoch: run.epoch }, 'run taken over');
    }
  }

  private async keep(): Promise<void> {
    const before = this.driver.all();
    const runs = await this.claims.heartbeat();
    this.fence.holds(runs);
    const now = new Set(runs.map(({ id }) => id));
    for (const id of before) if (!now.has(id)) await this.driver.release(id);
    const restless = await Promise.race([
      this.driver.restless(runs),
      sleep(RESTLESS_MS, runs, { ref: false }), // a connection that hangs must not keep the next heartbeat
    ]);
    // Not waited for: one that hangs must not keep the host from saying that it lives.
    for (const run of restless) {
      if (this.driving.has(run.id)) continue;
      const done = this.places.run(() => this.driveOne(run)).finally(() => this.driving.delete(run.id));
      this.driving.set(run.id, done);
    }
  }

  private async driveOne(run: ClaimedRun): Promise<void> {
    if (this.stopping) return;
    await this.driver.drive(run).catch((error: unknown) => {
      this.logger.error({ err: error, run_id: run.id }, 'a run could not be driven; again soon');
    });
  }
}
