import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { worksIn, type ProcessRole, type WorkRole } from './roles.js';

/** A loop that runs as long as the server does. */
export interface Worker {
  readonly name: string;
  /** In which processes it works; in all of them where it does not say. */
  readonly roles?: readonly WorkRole[];
  /** Called once, after the server listens. */
  start(): void;
  /**
   * The process is about to end: takes nothing new from this moment on, and brings to a good point what is under way.
   * Resolves within seconds; {@link stop} follows.
   */
  drain?(): Promise<void>;
  /** Takes no new work, ends what is under way within seconds, then resolves. */
  stop(): Promise<void>;
}

/**
 * Background loops register here while modules are initialised. They start after the port is bound (a second
 * server on the same port must not touch a run) and stop before connections close.
 */
@Injectable()
export class Workers implements BeforeApplicationShutdown {
  private readonly logger = new Logger(Workers.name);
  private readonly workers: Worker[] = [];
  private started: Worker[] = [];

  add(worker: Worker): void {
    this.workers.push(worker);
  }

  /** Starts those that work in a process of this role. */
  startAll(role: ProcessRole = 'all'): void {
    this.started = this.workers.filter(({ roles }) => worksIn(role, roles));
    for (const worker of this.started) worker.start();
  }

  /** At the first signal, before anything is closed. Nobody takes new work once this was called. */
  async drain(): Promise<void> {
    await this.each(this.started, async (worker) => worker.drain?.());
  }

  async beforeApplicationShutdown(): Promise<void> {
    const { started } = this;
    this.started = [];
    await this.each(started, (worker) => worker.stop());
  }

  private async each(workers: readonly Worker[], end: (worker: Worker) => Promise<void>): Promise<void> {
    for (const result of await Promise.allSettled(workers.map(end))) {
      if (result.status === 'rejected')
        this.logger.error({ err: result.reason as unknown }, 'a worker did not stop cleanly');
    }
  }
}
