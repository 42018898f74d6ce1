import { Logger } from '@nestjs/common';
import { WakeUp } from '../bus/wake-up.js';

/**
 * Does something again and again: after each time it rests until it is rung for, or for as long as `work` says, in ms.
 * What fails is logged and done again after `failedMs`. Stopping waits for what is under way.
 */
export class BackgroundLoop {
  private readonly logger: Logger;
  private running: Promise<void> | undefined;
  private stopping = false;

  constructor(
    name: string,
    private readonly failedMs: number,
    /** Resolves to how long to rest. */
    private readonly work: () => Promise<number>,
    private readonly bell = new WakeUp(),
  ) {
    this.logger = new Logger(name);
  }

  get isStopping(): boolean {
    return this.stopping;
  }

  start(): void {
    this.running = this.loop();
  }

  ring(): void {
    this.bell.ring();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.bell.ring();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      const restMs = await this.work().catch((error: unknown) => {
        this.logger.error({ err: error }, 'failed; again soon');
        return this.failedMs;
      });
      if (!this.stopping) await this.bell.wait(restMs);
    }
  }
}
