import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { SYSTEM } from '../../../common/auth/actor.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { ApplyRunToTaskCommand } from '../contracts/task.commands.js';
import type { TaskState } from '../contracts/task.types.js';
import { isTerminal } from '../domain/task-state.js';
import { Task } from '../domain/task.entity.js';
import type { TaskDB } from './task-db.js';
import { saveChanged } from './task-history.js';
import { lockColumn } from './wip-columns.js';

@CommandHandler(ApplyRunToTaskCommand)
export class ApplyRunToTaskHandler implements ICommandHandler<ApplyRunToTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute(command: ApplyRunToTaskCommand): Promise<{ state: TaskState | null; wip_full?: true }> {
    return this.transactions.run(async (tx) => {
      const row = tx.kysely<TaskDB>().selectFrom('tasks').select('id').where('id', '=', command.task_id);
      if (!(await row.forNoKeyUpdate().executeTakeFirst())) return { state: null };
      const task = await tx.em.findOneOrFail(Task, command.task_id);
      if (command.outcome === 'dispatched' && !(await mayEnter(tx, task, command.run_id)))
        return { state: task.state, wip_full: true };
      await apply(tx, task, command);
      return { state: task.state };
    });
  }
}

/** Whether there is a place for it in progress; of one that is there already, or that this run moves no more, yes. */
async function mayEnter(tx: Tx, { board_id, state, ...task }: Task, run_id: string): Promise<boolean> {
  if (state === 'IN_PROGRESS' || isTerminal(state)) return true;
  if (task.dispatched_run_id === run_id || task.settled_run_id === run_id) return true;
  return !(await lockColumn(tx, board_id, 'IN_PROGRESS')).isFull;
}

async function apply(tx: Tx, task: Task, { run_id, outcome, reason, agent_id }: ApplyRunToTaskCommand): Promise<void> {
  if (task.settled_run_id === run_id) return;
  if (!isTerminal(task.state)) {
    const changes = task.followRun(run_id, outcome, agent_id, new Date());
    if (Object.keys(changes).length > 0) return saveChanged(tx, { task, changes }, { actor: SYSTEM, reason, run_id });
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
