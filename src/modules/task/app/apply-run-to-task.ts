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

type Told = Pick<ApplyRunToTaskCommand, 'run_id' | 'outcome' | 'reason' | 'agent_id'>;

@CommandHandler(ApplyRunToTaskCommand)
export class ApplyRunToTaskHandler implements ICommandHandler<ApplyRunToTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute(command: ApplyRunToTaskCommand): Promise<{ state: TaskState | null; wip_full?: true }> {
    return this.transactions.run(async (tx) => {
      const task = await lockTaskOfRun(tx, command.task_id);
      if (!task) return { state: null };
      if (command.outcome === 'dispatched' && !(await mayEnter(tx, task, command.run_id)))
        return { state: task.state, wip_full: true };
      await applyRun(tx, task, command);
      return { state: task.state };
    });
  }
}

/** The task, locked against other changes but not against rows that refer to it; null where there is none. */
export async function lockTaskOfRun(tx: Tx, task_id: string): Promise<Task | null> {
  const rows = tx.kysely<TaskDB>().selectFrom('tasks').selectAll().where('id', '=', task_id).forNoKeyUpdate();
  const row = await rows.executeTakeFirst();
  return row ? tx.em.map(Task, row) : null;
}

/** Whether there is a place for it in progress; of one that is there already, or that this run moves no more, yes. */
export async function mayEnter(tx: Tx, { board_id, state, ...task }: Task, run_id: string): Promise<boolean> {
  if (state === 'IN_PROGRESS' || isTerminal(state)) return true;
  if (task.dispatched_run_id === run_id || task.settled_run_id === run_id) return true;
  return !(await lockColumn(tx, board_id, 'IN_PROGRESS')).isFull;
}

/** What the run tells its locked task. */
export async function applyRun(tx: Tx, task: Task, told: Told): Promise<void> {
  const { run_id, outcome, reason, agent_id } = told;
  if (task.settled_run_id === run_id) return;
  if (!isTerminal(task.state)) {
    const known = task.dispatched_run_id === run_id;
    const changes = task.followRun(run_id, outcome, agent_id, new Date());
    if (Object.keys(changes).length > 0) return saveChanged(tx, { task, changes }, { actor: SYSTEM, reason, run_id });
    tx.em.clear(); // nothing to be seen of it, so no new version either
    if (known) return;
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
