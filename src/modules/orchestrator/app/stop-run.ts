import { CommandBus, CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { StopAgentCommand } from '../../agent/contracts/agent.commands.js';
import { FindAttemptAgentQuery } from '../../agent/contracts/agent.queries.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { StopRunCommand, type RunReceipt } from '../contracts/run.commands.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { LIVE_RUN_STATES } from '../domain/run-state.js';
import { Run } from '../domain/run.entity.js';
import { receipt } from './run-rows.js';

/** The wish goes into the run's row first; the agent is told then, and again by the reconcile loop. */
@CommandHandler(StopRunCommand)
export class StopRunHandler implements ICommandHandler<StopRunCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
  ) {}

  async execute({ actor, task_id, reason, force, run_id }: StopRunCommand): Promise<RunReceipt> {
    await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    const run = await this.recordWish({ task_id, ...(run_id ? { id: run_id } : {}) }, reason, force);
    const agent = await this.queries.execute(new FindAttemptAgentQuery(run.id, run.attempt));
    if (agent) await this.commands.execute(new StopAgentCommand(agent.id, reason, force));
    return receipt(run, agent?.id ?? null);
  }

  private recordWish(which: { task_id: string; id?: string }, reason: string | null, force: boolean): Promise<Run> {
    return this.transactions.run(async (tx) => {
      const run = await tx.em.findOne(
        Run,
        { ...which, state: { $in: [...LIVE_RUN_STATES] } },
        { lockMode: LockMode.PESSIMISTIC_WRITE },
      );
      if (!run) throw new DomainError('conflict', 'run.none_live', 'This task has no run to stop.');
      const changed = run.apply('stop', new Date());
      if (changed) run.stop_reason = reason;
      if (force) run.stop_force = true;
      await tx.em.flush();
      if (changed) tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id: run.task_id, state: run.state }));
      return run;
    });
  }
}
