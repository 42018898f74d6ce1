import { Injectable, Logger } from '@nestjs/common';
import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { CanHoldAgentQuery, FindAttemptAgentQuery } from '../../agent/contracts/agent.queries.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { PauseRunCommand, ResumeRunCommand, type RunReceipt } from '../contracts/run.commands.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { LIVE_RUN_STATES } from '../domain/run-state.js';
import { Run } from '../domain/run.entity.js';
import { RunHolds } from './hold-run.js';
import { receipt } from './run-rows.js';

const WISHES = {
  pause: { done: 'PAUSED', text: 'Only a run whose agent works can be paused' },
  resume: { done: 'RUNNING', text: 'Only a paused run can be resumed' },
} as const;

/** Records what is wanted in the run's row; the agent is told then, and by the reconcile loop until it is so. */
@Injectable()
export class HoldWishes {
  private readonly logger = new Logger(HoldWishes.name);

  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly holds: RunHolds,
  ) {}

  async take(actor: Actor, task_id: string, wish: 'pause' | 'resume'): Promise<RunReceipt> {
    await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    const { id, attempt } = await this.transactions.run((tx) => lockRun(tx, task_id, wish));
    const agent = await this.queries.execute(new FindAttemptAgentQuery(id, attempt));
    // Before anything is written down: a wish that nobody can fulfil would stand for ever.
    if (agent && !(await this.queries.execute(new CanHoldAgentQuery(agent.id)))) throw unsupported();
    const run = await this.record(task_id, wish);
    faultPoint('run.hold_recorded');
    await this.holds.align(run.id).catch((error: unknown) => {
      this.logger.warn({ err: error, run_id: run.id }, `could not ${wish} the agent; again with the next heartbeat`);
    });
    return receipt(run, agent?.id ?? null);
  }

  private record(task_id: string, wish: 'pause' | 'resume'): Promise<Run> {
    return this.transactions.run(async (tx) => {
      const run = await lockRun(tx, task_id, wish);
      if (run.state === WISHES[wish].done) return run;
      run.apply(wish, new Date());
      await tx.em.flush();
      tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id, state: run.state }));
      return run;
    });
  }
}

@CommandHandler(PauseRunCommand)
export class PauseRunHandler implements ICommandHandler<PauseRunCommand> {
  constructor(private readonly wishes: HoldWishes) {}

  execute({ actor, task_id }: PauseRunCommand): Promise<RunReceipt> {
    return this.wishes.take(actor, task_id, 'pause');
  }
}

@CommandHandler(ResumeRunCommand)
export class ResumeRunHandler implements ICommandHandler<ResumeRunCommand> {
  constructor(private readonly wishes: HoldWishes) {}

  execute({ actor, task_id }: ResumeRunCommand): Promise<RunReceipt> {
    return this.wishes.take(actor, task_id, 'resume');
  }
}

/** The task's live run, where it is one that the wish can be about. @throws DomainError `run.none_live`, `run.illegal_transition` */
async function lockRun(tx: Tx, task_id: string, wish: 'pause' | 'resume'): Promise<Run> {
  const run = await tx.em.findOne(
    Run,
    { task_id, state: { $in: [...LIVE_RUN_STATES] } },
    { lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  if (!run) throw new DomainError('conflict', 'run.none_live', `This task has no run to ${wish}.`);
  if (run.state === 'RUNNING' || run.state === 'PAUSED') return run;
  throw new DomainError('conflict', 'run.illegal_transition', `${WISHES[wish].text}; this one is ${run.state}.`);
}

function unsupported(): DomainError {
  return new DomainError(
    'unsupported',
    'run.pause_unsupported',
    "Agents of this type can't be paused: they run without a container. Stop the run instead, and start the task again later.",
  );
}
