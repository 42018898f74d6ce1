import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Authenticator } from '../../../common/auth/authenticator.js';
import { WakeUp } from '../../../common/bus/wake-up.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import type { StreamConnection } from './stream-connection.js';
import { StreamConnections } from './stream-connections.js';

const RECHECK_MS = 5_000; // how late the end of a sign-in counts that another server process was told of

/**
 * Closes connections of those who would not be let in any more: signed out, disabled, their key revoked, or with
 * another role than before. At once where it happens in this process, else within seconds.
 */
@Injectable()
export class AccessWatch implements OnModuleInit, Worker {
  readonly name = 'access-watch';
  private readonly logger = new Logger(AccessWatch.name);
  private readonly bell = new WakeUp();
  private running: Promise<void> | undefined;
  private stopping = false;

  constructor(
    private readonly authenticator: Authenticator,
    private readonly connections: StreamConnections,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
    this.authenticator.onForget(() => this.bell.ring());
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.bell.ring();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      await this.bell.wait(RECHECK_MS);
      if (this.stopping) return;
      try {
        for (const those of this.byActor()) await this.recheck(those);
      } catch (error) {
        this.logger.warn({ err: error }, 'the access of connections could not be checked; trying again');
      }
    }
  }

  /** The tabs of one sign-in are one question. */
  private byActor(): StreamConnection[][] {
    const groups = Map.groupBy(this.connections.all, ({ actor }) => JSON.stringify(actor));
    return [...groups.values()];
  }

  private async recheck(those: StreamConnection[]): Promise<void> {
    const [first] = those;
    if (!first) return;
    try {
      await this.authenticator.recheck(first.actor);
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind !== 'unauthenticated') throw error;
      for (const { reader } of those) reader.close({ code: error.code as `auth.${string}`, detail: error.message });
    }
  }
}
