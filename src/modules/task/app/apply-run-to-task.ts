import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { SYSTEM } from '../../../common/auth/actor.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { ApplyRunToTaskCommand } from '../contracts/task.commands.js';
import type { TaskState } from '../contracts/task.types.js';
import { isTerminal } from '../domain/task-state.js';
import { Task } from '../domain/task.entity.js';
import type { TaskDB } from './task-db.js';
import { saveChanged } from './task-history.js';

@CommandHandler(ApplyRunToTaskCommand)
export class ApplyRunToTaskHandler implements ICommandHandler<ApplyRunToTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute(command: ApplyRunToTaskCommand): Promise<{ state: TaskState | null }> {
    return this.transactions.run(async (tx) => {
      const row = tx.kysely<TaskDB>().selectFrom('tasks').select('id').where('id', '=', command.task_id);
      if (!(await row.forNoKeyUpdate().executeTakeFirst())) return { state: null };
      const task = await tx.em.findOneOrFail(Task, command.task_id);
      await apply(tx, task, command);
      return { state: task.state };
    });
  }
}

async function apply(tx: Tx, task: Task, { run_id, outcome, reason, agent_id }: ApplyRunToTaskCommand): Promise<void> {
  if (task.settled_run_id === run_id) return;
  if (!isTerminal(task.state)) {
    const changes = task.followRun(run_id, outcome, agent_id, new Date());
    if (Object.keys(changes).length > 0) return saveChanged(tx, task, changes, { actor: SYSTEM, reason, run_id });
    tx.em.clear(); // nothing to be seen of it, so no new version either
    await tx
      .kysely<TaskDB>()
      .updateTable('tasks')
      .set({ dispatched_run_id: run_id })
      .where('id', '=', task.id)
      .execute();
  } else if (outcome !== 'dispatched') {
    // A person was faster. Remembered all the same, but nobody sees it: no new version, no line in the history.
    const settled = { settled_run_id: run_id, dispatched_run_id: run_id };
    await tx.kysely<TaskDB>().updateTable('tasks').set(settled).where('id', '=', task.id).execute();
  }
}
