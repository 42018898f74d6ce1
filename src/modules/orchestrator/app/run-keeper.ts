import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { WakeUp } from '../../../common/bus/wake-up.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { ReleaseAgentCommand } from '../../agent/contracts/agent.commands.js';
import { RunClaims } from './run-claims.js';
import { RunDriver } from './run-driver.js';
import { HEARTBEAT_MS, type ClaimedRun } from './run-rows.js';
import { ThisHost } from './this-host.js';

/**
 * The reconcile loop of this host. At start it takes over what this home's last server has left; then, every few
 * seconds, it says that the host lives, extends the leases, takes over runs whose lease has run out, lets go of runs
 * that were taken from it, and drives each held run towards what its row wants.
 */
@Injectable()
export class RunKeeper implements OnModuleInit, Worker {
  readonly name = 'run-keeper';
  private readonly logger = new Logger(RunKeeper.name);
  private readonly bell = new WakeUp();
  private held = new Set<string>();
  private running: Promise<void> | undefined;
  private stopping = false;

  constructor(
    private readonly claims: RunClaims,
    private readonly driver: RunDriver,
    private readonly host: ThisHost,
    private readonly commands: CommandBus,
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
    await this.claims.releaseAll();
  }

  private async loop(): Promise<void> {
    for (let first = true; !this.stopping;) {
      try {
        await this.host.heartbeat();
        await this.takeOver(first ? 'all' : 'expired');
        first = false;
        await this.keep();
      } catch (error) {
        this.logger.error({ err: error }, 'reconciling failed; again soon');
      }
      if (!this.stopping) await this.bell.wait(HEARTBEAT_MS);
    }
  }

  private async takeOver(which: 'all' | 'expired'): Promise<void> {
    for (const run of await this.claims.takeOver(which)) {
      this.logger.warn({ run_id: run.id, task_id: run.task_id, state: run.state, epoch: run.epoch }, 'run taken over');
    }
  }

  private async keep(): Promise<void> {
    const runs = await this.claims.heartbeat();
    const now = new Set(runs.map(({ id }) => id));
    for (const id of this.held) if (!now.has(id)) await this.commands.execute(new ReleaseAgentCommand(id));
    this.held = now;
    for (const run of runs) if (!this.stopping) await this.driveOne(run);
  }

  private async driveOne(run: ClaimedRun): Promise<void> {
    await this.driver.drive(run).catch((error: unknown) => {
      this.logger.error({ err: error, run_id: run.id }, 'a run could not be driven; again soon');
    });
  }
}
