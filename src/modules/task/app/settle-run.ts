import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { SettleRunCommand } from '../contracts/task.commands.js';
import type { TaskDB } from './task-db.js';

/** Nobody sees it: no new version, no line in the history. */
@CommandHandler(SettleRunCommand)
export class SettleRunHandler implements ICommandHandler<SettleRunCommand> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ task_id, run_id }: SettleRunCommand): Promise<void> {
    // A run that the task has not heard of is from now on the last one it has: a later one would be here already.
    const dispatched = sql<string>`
      case when dispatched_run_id is not distinct from settled_run_id then ${run_id} else dispatched_run_id end`;
    await this.transactions
      .kysely<TaskDB>()
      .updateTable('tasks')
      .set({ settled_run_id: run_id, dispatched_run_id: dispatched })
      .where('id', '=', task_id)
      .execute();
  }
}
