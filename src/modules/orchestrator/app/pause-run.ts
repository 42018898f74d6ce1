import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { PauseRunCommand, ResumeRunCommand, type RunReceipt } from '../contracts/run.commands.js';
import { FindTasksWithLiveRunQuery } from '../contracts/run.queries.js';

@CommandHandler(PauseRunCommand)
export class PauseRunHandler implements ICommandHandler<PauseRunCommand> {
  constructor(private readonly queries: QueryBus) {}

  execute({ actor, task_id }: PauseRunCommand): Promise<RunReceipt> {
    return refuse(this.queries, actor, task_id, 'pause');
  }
}

@CommandHandler(ResumeRunCommand)
export class ResumeRunHandler implements ICommandHandler<ResumeRunCommand> {
  constructor(private readonly queries: QueryBus) {}

  execute({ actor, task_id }: ResumeRunCommand): Promise<RunReceipt> {
    return refuse(this.queries, actor, task_id, 'resume');
  }
}

/** No runtime can hold an agent still, so this only says why not. */
async function refuse(queries: QueryBus, actor: Actor, task_id: string, what: 'pause' | 'resume'): Promise<never> {
  await queries.execute(new GetTaskQuery(actor, task_id, 'write'));
  const live = await queries.execute(new FindTasksWithLiveRunQuery({ task_id }));
  if (live.length === 0) throw new DomainError('conflict', 'run.none_live', `This task has no run to ${what}.`);
  throw new DomainError(
    'unsupported',
    'run.pause_unsupported',
    "Agents of this type can't be paused. Stop the run instead, and start the task again later.",
  );
}
