import { Injectable, type OnModuleInit } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { SYSTEM } from '../../../common/auth/actor.js';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { TaskUpdatedEvent } from '../../task/contracts/task.events.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { LIVE_RUN_STATES } from '../domain/run-state.js';
import { DispatchSignal } from './dispatch-signal.js';
import type { RunDB } from './run-rows.js';
import { RunWaits } from './run-waits.js';

const MAX_ROUNDS = 5; // a second one checks what the first has written; more only while others write, too

/** Lets the live run of a task follow its priority: whoever changes that means the one that is queued, too. */
@Injectable()
export class RunPriorities implements OnModuleInit {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly outbox: OutboxHandlers,
    private readonly waits: RunWaits,
    private readonly signal: DispatchSignal,
  ) {}

  onModuleInit(): void {
    this.outbox.on(TaskUpdatedEvent.topic, async ({ aggregate_id, timestamp, data }) => {
      if ((data['fields'] as string[]).includes('priority')) await this.follow(aggregate_id, timestamp);
    });
  }

  /**
   * The run that was queued by then (RFC 3339) takes over the priority that its task has now; its place in the queue
   * goes with it. One that was queued later has been given its own by whoever asked for it.
   */
  private async follow(task_id: string, queued_by: string): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const priority = await this.priorityOf(task_id);
      if (priority === null) return;
      const changed = await this.transactions
        .kysely<RunDB>()
        .updateTable('runs')
        .set({ priority, version: sql<number>`version + 1`, updated_at: sql<Date>`now()` })
        .where('task_id', '=', task_id)
        .where('state', 'in', LIVE_RUN_STATES) // one that works now may come back for another attempt
        .where('queued_at', '<=', new Date(queued_by))
        .where('priority', '!=', priority)
        .executeTakeFirst();
      if (changed.numUpdatedRows === 0n) break; // looked at again: who reads earlier and writes later does so, too
    }
    await this.waits.reviewTasks([task_id]); // another one may be next for a place in a limited column
    this.signal.ring();
  }

  private async priorityOf(task_id: string): Promise<number | null> {
    try {
      return (await this.queries.execute(new GetTaskQuery(SYSTEM, task_id))).priority;
    } catch (error) {
      if (error instanceof DomainError && error.code === 'task.not_found') return null;
      throw error;
    }
  }
}
