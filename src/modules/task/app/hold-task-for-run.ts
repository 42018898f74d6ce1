import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { SYSTEM } from '../../../common/auth/actor.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { HoldTaskForRunCommand } from '../contracts/task.commands.js';
import { Task } from '../domain/task.entity.js';
import type { TaskDB } from './task-db.js';
import { saveChanged } from './task-history.js';

@CommandHandler(HoldTaskForRunCommand)
export class HoldTaskForRunHandler implements ICommandHandler<HoldTaskForRunCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ task_id, run_id, wait }: HoldTaskForRunCommand): Promise<void> {
    return this.transactions.run(async (tx) => {
      const row = tx.kysely<TaskDB>().selectFrom('tasks').select('id').where('id', '=', task_id);
      if (!(await row.forNoKeyUpdate().executeTakeFirst())) return;
      const task = await tx.em.findOneOrFail(Task, task_id);
      const changes = task.hold(run_id, wait?.request_id ?? null, new Date());
      await saveChanged(tx, { task, changes }, { actor: SYSTEM, reason: wait?.reason ?? null, run_id });
      // Only which request was seen: no change that anybody is told of.
      if (Object.keys(changes).length === 0 && wait && task.held_by_run_id === run_id)
        await tx
          .kysely<TaskDB>()
          .updateTable('tasks')
          .set({ held_request_id: wait.request_id })
          .where('id', '=', task_id)
          .execute();
    });
  }
}
