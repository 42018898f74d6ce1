import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { CompiledQuery } from 'kysely';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { DispatchTaskCommand } from '../contracts/task.commands.js';
import type { TaskView } from '../contracts/task.types.js';
import type { Task } from '../domain/task.entity.js';
import { applyRun, lockTaskOfRun, mayEnter } from './apply-run-to-task.js';
import { toTaskView } from './records.js';
import type { TaskDB } from './task-db.js';

/** Both that a task can wait for, in one look; most wait for nothing. As text, as it is a part of every start. */
const HOLDS = `
  select exists (
    select from task_dependencies d join tasks t on t.id = d.depends_on_id
    where d.task_id = $1 and t.state != 'COMPLETED'
  ) as depends, exists (
    select from board_wip_limits l where l.board_id = $2 and l.state = 'IN_PROGRESS'
  ) as is_limited`;

@CommandHandler(DispatchTaskCommand)
export class DispatchTaskHandler implements ICommandHandler<DispatchTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ task_id, run_id }: DispatchTaskCommand): Promise<TaskView | null> {
    return this.transactions.run(async (tx) => {
      const task = await lockTaskOfRun(tx, task_id);
      if (!task) throw notFound('task');
      if (await mustWait(tx, task, run_id)) return null;
      await applyRun(tx, task, { run_id, outcome: 'dispatched', reason: null, agent_id: null });
      return toTaskView(task);
    });
  }
}

async function mustWait(tx: Tx, task: Task, run_id: string): Promise<boolean> {
  const look = CompiledQuery.raw(HOLDS, [task.id, task.board_id]);
  const { rows } = await tx.kysely<TaskDB>().executeQuery<{ depends: boolean; is_limited: boolean }>(look);
  const { depends = true, is_limited = true } = rows[0] ?? {};
  return depends || (is_limited && !(await mayEnter(tx, task, run_id)));
}
