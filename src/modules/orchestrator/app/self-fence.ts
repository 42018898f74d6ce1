import { Inject, Injectable, Logger } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { FreezeAgentsCommand } from '../../agent/contracts/agent.commands.js';
import type { HeldRun } from './run-rows.js';

/** While nothing is heard of the database: what an engine could not hold still is tried again, and what has begun since. */
const AGAIN_MS = 5_000;

/**
 * Holds agents still that others may take for lost. A host that can't say that it lives counts as dead after
 * `KANDEV_HOST_LOST_SECONDS`, and its runs are tried again elsewhere; from the same moment on, by our own clock that
 * only goes on, its agents here do nothing any more. We count from before a heartbeat was sent, others from when it was
 * stored, and they watch for some seconds more: that is the time that an engine has to pause them. Where no other host
 * is known, agents go on: nobody could take their runs.
 */
@Injectable()
export class SelfFence {
  private readonly logger = new Logger(SelfFence.name);
  private timer: NodeJS.Timeout | undefined;
  /** Runs that no other host could take, as of the last heartbeat. */
  private spared: string[] = [];

  constructor(
    private readonly commands: CommandBus,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** The host was heard of by a heartbeat that was sent at `sent`, in this process's milliseconds. */
  heard(sent: number, hasOthers: boolean): void {
    this.rest();
    if (!hasOthers) return;
    const dueMs = sent + this.config.orchestrator.host_lost_seconds * 1000 - performance.now();
    this.arm(Math.max(0, dueMs));
  }

  /** What this process holds. */
  holds(runs: readonly HeldRun[]): void {
    this.spared = runs.filter(({ has_other_host }) => !has_other_host).map(({ id }) => id);
  }

  /** Does nothing until the host is heard of again. */
  rest(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private arm(ms: number): void {
    this.timer = setTimeout(() => this.freeze(), ms);
    this.timer.unref();
  }

  private freeze(): void {
    this.arm(AGAIN_MS);
    this.commands.execute(new FreezeAgentsCommand(this.spared)).then(
      (frozen) => {
        if (frozen.length === 0) return;
        const text =
          'PostgreSQL was not heard of for so long that other hosts may have taken these runs: agents stand still';
        this.logger.warn({ run_ids: frozen }, text);
      },
      (error: unknown) => this.logger.error({ err: error }, 'agents could not be held still; again soon'),
    );
  }
}
