import { CommandBus, CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetStartableAgentTypeQuery } from '../../agent/contracts/agent.queries.js';
import { ReopenTaskCommand } from '../../task/contracts/task.commands.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { TaskView } from '../../task/contracts/task.types.js';
import { StartRunCommand, type RunReceipt } from '../contracts/run.commands.js';
import { FindTasksWithLiveRunQuery } from '../contracts/run.queries.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { Run } from '../domain/run.entity.js';
import { DispatchSignal } from './dispatch-signal.js';
import { receipt } from './run-rows.js';
import { RunSync } from './sync-run.js';

const FORCED_PRIORITY = 10; // the highest there is

/** Queues one run; the partial unique index on live runs decides between two who ask at once. */
@CommandHandler(StartRunCommand)
export class StartRunHandler implements ICommandHandler<StartRunCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
    private readonly signal: DispatchSignal,
    private readonly sync: RunSync,
  ) {}

  async execute({ actor, task_id, options }: StartRunCommand): Promise<RunReceipt> {
    await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    await this.sync.followLatest(task_id); // the end of the run before is the task's first
    const task = await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    if (!options.force) requireStartable(task);
    const agent_type = await this.startableAgentType(options.agent_type ?? task.agent_type);
    if (options.force) {
      await this.requireNoLiveRun(task_id);
      await this.commands.execute(new ReopenTaskCommand(actor, task_id, 'started again'));
    }
    const priority = options.force ? FORCED_PRIORITY : (options.priority ?? task.priority);
    try {
      return await this.transactions.run(async (tx) => {
        const run = tx.em.create(Run, {
          id: uuidv7(),
          task_id,
          board_id: task.board_id,
          agent_type,
          priority,
          requested_by: actor.user_id,
        });
        await tx.em.flush();
        tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id, state: run.state }));
        tx.afterCommit(() => this.signal.ring());
        return receipt(run, null);
      });
    } catch (error) {
      const violated = violatedConstraint(error);
      if (violated === 'runs_one_live_per_task') {
        throw alreadyLive();
      }
      if (violated === 'runs_task_id_fkey') throw notFound('task'); // deleted a moment ago
      throw error;
    }
  }

  /** Before the card is touched; the index decides in the end. */
  private async requireNoLiveRun(task_id: string): Promise<void> {
    const live = await this.queries.execute(new FindTasksWithLiveRunQuery({ task_id }));
    if (live.length > 0) throw alreadyLive();
  }

  private async startableAgentType(name: string | null): Promise<string> {
    if (name === null) {
      throw new DomainError(
        'conflict',
        'run.no_agent_type',
        'The task has no agent type. Set one on the task, or name one in the request.',
      );
    }
    return (await this.queries.execute(new GetStartableAgentTypeQuery(name))).name;
  }
}

function requireStartable({ state }: TaskView): void {
  if (state === 'TODO' || state === 'IN_PROGRESS') return;
  throw new DomainError(
    'conflict',
    'run.task_not_startable',
    `A task in ${state} is not started. Reopen it (state TODO), or use force.`,
    { state },
  );
}

function alreadyLive(): DomainError {
  return new DomainError(
    'conflict',
    'run.already_live',
    'This task has a run under way. Stop it first, or wait for its end.',
  );
}
