import { Injectable, type OnModuleInit } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { AnnounceRetryCommand } from '../../agent/contracts/agent.commands.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { QueueKeeper } from './queue-keeper.js';
import type { RunDB } from './run-rows.js';

/**
 * Tells the task's stream that a failed attempt is tried again, and the queue's keeper that there is somebody to wake;
 * from the rows: an event that comes twice tells once.
 */
@Injectable()
export class RetryNews implements OnModuleInit {
  constructor(
    private readonly transactions: Transactions,
    private readonly commands: CommandBus,
    private readonly outbox: OutboxHandlers,
    private readonly keeper: QueueKeeper,
  ) {}

  onModuleInit(): void {
    this.outbox.on(RunStateChangedEvent.topic, async ({ aggregate_id, aggregate_seq, data }) => {
      // In its first version a run is new, and nothing has failed.
      if (data['state'] === 'QUEUED' && aggregate_seq > 1) await this.tell(aggregate_id);
    });
  }

  private async tell(run_id: string): Promise<void> {
    const last = await this.transactions
      .kysely<RunDB>()
      .selectFrom('run_attempts')
      .select(['agent_id', 'attempt', 'retry_at', 'retry_decision'])
      .where('run_id', '=', run_id)
      .orderBy('attempt', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (!last?.retry_at) return;
    this.keeper.parked();
    if (last.agent_id === null) return;
    const { agent_id, attempt, retry_at, retry_decision } = last;
    await this.commands.execute(new AnnounceRetryCommand(agent_id, attempt + 1, toTimestamp(retry_at), retry_decision));
  }
}
