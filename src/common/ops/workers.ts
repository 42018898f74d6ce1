import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';

/** A loop that runs as long as the server does. */
export interface Worker {
  readonly name: string;
  /** Called once, after the server listens. */
  start(): void;
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
  private started = false;

  add(worker: Worker): void {
    this.workers.push(worker);
  }

  startAll(): void {
    this.started = true;
    for (const worker of this.workers) worker.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (!this.started) return;
    this.started = false;
    for (const result of await Promise.allSettled(this.workers.map((worker) => worker.stop()))) {
      if (result.status === 'rejected')
        this.logger.error({ err: result.reason as unknown }, 'a worker did not stop cleanly');
    }
  }
}
