import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { RunClaims } from './run-claims.js';
import { RunDriver } from './run-driver.js';
import { RunNews } from './run-news.js';

/**
 * A run of this host is wanted otherwise, whichever process was told so: driven at once. Where the news does not come,
 * the next heartbeat does the same.
 */
@Injectable()
export class RunWishes implements OnModuleInit {
  private readonly logger = new Logger(RunWishes.name);

  constructor(
    private readonly news: RunNews,
    private readonly claims: RunClaims,
    private readonly driver: RunDriver,
  ) {}

  onModuleInit(): void {
    this.news.onWish((runId) => {
      this.follow(runId).catch((error: unknown) => {
        this.logger.warn({ err: error, run_id: runId }, 'a run could not be driven; with the next heartbeat');
      });
    });
  }

  private async follow(runId: string): Promise<void> {
    const run = await this.claims.held(runId);
    if (run) await this.driver.drive(run);
  }
}
