import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Housekeeping, ON_ITS_HOST } from '../../../../common/ops/housekeeping.js';
import { Repositories } from './repositories.js';

const EVERY_MS = 6 * 60 * 60_000; // a repository that is fetched from every few minutes has a day's packs by then

/** Packs our repositories anew from time to time. Takes long at times: other chores don't wait for it. */
@Injectable()
export class RepositoryChore implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(RepositoryChore.name);
  private readonly leaving = new AbortController();
  private running: Promise<void> | undefined;

  constructor(
    private readonly repositories: Repositories,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    const run = (): Promise<void> => {
      this.running ??= this.tidy().finally(() => (this.running = undefined));
      return Promise.resolve();
    };
    this.housekeeping.add({ name: 'repositories', roles: ON_ITS_HOST, everyMs: EVERY_MS, run });
  }

  async onModuleDestroy(): Promise<void> {
    this.leaving.abort(new Error('the server ends'));
    await this.running;
  }

  private async tidy(): Promise<void> {
    await this.repositories.tidy(this.leaving.signal).catch((error: unknown) => {
      if (!this.leaving.signal.aborted)
        this.logger.warn({ err: error }, 'a repository could not be packed; again later');
    });
  }
}
