import { Injectable, Logger } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { Transactions } from '../../../common/persistence/transactions.js';
import { HoldAgentCommand } from '../../agent/contracts/agent.commands.js';
import { FindAttemptAgentQuery } from '../../agent/contracts/agent.queries.js';
import type { RunDB } from './run-rows.js';

/**
 * Lets an agent stand or go as its run's row says: PAUSED or RUNNING. Called when that has changed, and by the
 * reconcile loop, which sees to whatever a kill or somebody at the engine has left otherwise.
 */
@Injectable()
export class RunHolds {
  private readonly logger = new Logger(RunHolds.name);
  private readonly underWay = new Map<string, Promise<void>>();

  constructor(
    private readonly transactions: Transactions,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  /** One after the other for each run, and each reads the row anew: the last one does what was wanted last. */
  async align(runId: string): Promise<void> {
    const before = this.underWay.get(runId) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(() => this.alignNow(runId));
    this.underWay.set(runId, mine);
    try {
      await mine;
    } finally {
      if (this.underWay.get(runId) === mine) this.underWay.delete(runId);
    }
  }

  /** Starts the same, unless it is under way. Nobody waits: an engine that hangs must not hold up the heartbeat. */
  reconcile(runId: string): void {
    if (this.underWay.has(runId)) return;
    this.align(runId).catch((error: unknown) => {
      this.logger.warn({ err: error, run_id: runId }, 'an agent does not stand or go as its run wants; again soon');
    });
  }

  private async alignNow(runId: string): Promise<void> {
    const runs = this.transactions.kysely<RunDB>().selectFrom('runs').select(['state', 'attempt']);
    const run = await runs.where('id', '=', runId).executeTakeFirst();
    if (run?.state !== 'RUNNING' && run?.state !== 'PAUSED') return;
    const agent = await this.queries.execute(new FindAttemptAgentQuery(runId, run.attempt));
    if (agent) await this.commands.execute(new HoldAgentCommand(agent.id, run.state === 'PAUSED'));
  }
}
