import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Housekeeping } from '../../../common/ops/housekeeping.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { IdentityDB } from './account.js';

const TICKETS_MS = 60_000; // twice as long as they are good for: there are never many
const REFRESH_TOKENS_MS = 3_600_000; // they are good for days; reading them all once an hour is little

/** Removes tickets and refresh tokens that nobody can use any more. */
@Injectable()
export class ForgetExpired implements OnModuleInit {
  constructor(
    private readonly transactions: Transactions,
    private readonly housekeeping: Housekeeping,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.housekeeping.add({ name: 'tickets', everyMs: TICKETS_MS, run: () => this.tickets() });
    this.housekeeping.add({ name: 'refresh tokens', everyMs: REFRESH_TOKENS_MS, run: () => this.refreshTokens() });
  }

  private async tickets(): Promise<void> {
    await this.db
      .deleteFrom('tickets')
      .where('expires_at', '<', sql<Date>`now()`)
      .execute();
  }

  /**
   * The rows are what tells a sign-in that goes on from one that was ended. So a row stays until the access token that
   * came with it has expired too, whichever of the two lives longer.
   */
  private async refreshTokens(): Promise<void> {
    const { token_duration } = this.config.auth;
    await this.db
      .deleteFrom('refresh_tokens')
      .where('expires_at', '<', sql<Date>`now()`)
      .where('created_at', '<', sql<Date>`now() - make_interval(secs => ${token_duration})`)
      .execute();
  }

  private get db() {
    return this.transactions.kysely<IdentityDB>();
  }
}
