import { Global, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { CONFIG } from '../config/config.module.js';
import type { Config } from '../config/config.js';
import { Housekeeping } from '../ops/housekeeping.js';
import { Transactions } from '../persistence/transactions.js';
import { MemoryCounters } from './memory-counters.js';
import { PostgresCounters } from './postgres-counters.js';
import { RateLimiter } from './rate-limiter.js';

const SWEEP_MS = 60_000; // most windows are a minute long: by then as many have expired as there are

/** Counters for every module, in memory or shared by all processes as `RATE_LIMIT_STORAGE` says. */
@Global()
@Module({
  providers: [
    { provide: MemoryCounters, useFactory: () => new MemoryCounters() },
    {
      provide: PostgresCounters,
      useFactory: (transactions: Transactions) => new PostgresCounters(transactions),
      inject: [Transactions],
    },
    {
      provide: RateLimiter,
      useFactory: ({ rate_limit }: Config, memory: MemoryCounters, postgres: PostgresCounters) =>
        new RateLimiter(rate_limit.storage === 'postgres' ? postgres : memory, memory),
      inject: [CONFIG, MemoryCounters, PostgresCounters],
    },
  ],
  exports: [RateLimiter],
})
export class RateLimitModule implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly housekeeping: Housekeeping,
    private readonly memory: MemoryCounters,
    private readonly postgres: PostgresCounters,
  ) {}

  onModuleInit(): void {
    this.housekeeping.add({
      name: 'rate limits',
      roles: ['api', 'orchestrator', 'runner'],
      everyMs: SWEEP_MS,
      run: () => this.sweep(),
    });
  }

  private async sweep(): Promise<void> {
    this.memory.sweep();
    if (this.config.rate_limit.storage === 'postgres') await this.postgres.sweep();
  }
}
