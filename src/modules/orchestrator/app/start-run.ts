import { Injectable } from '@nestjs/common';
import { CommandBus, CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Idempotency } from '../../../common/idempotency/idempotency.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { ReopenTaskCommand } from '../../task/contracts/task.commands.js';
import { FindHeldTasksQuery, GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { TaskView } from '../../task/contracts/task.types.js';
import { StartRunCommand, type RunReceipt } from '../contracts/run.commands.js';
import { FindTasksWithLiveRunQuery } from '../contracts/run.queries.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { Run } from '../domain/run.entity.js';
import { DispatchSignal } from './dispatch-signal.js';
import { receipt } from './run-rows.js';
import { RunTerms, type Terms } from './run-terms.js';
import { alreadyLive, refusalOf, requireStartable } from './start-refusals.js';
import { RunSync } from './sync-run.js';

const FORCED_PRIORITY = 10; // the highest there is

/** What else is done for who starts a run of something that may be gone by then. Both may throw. */
export interface Also {
  /** Before anything of the task is changed. */
  first: () => Promise<void>;
  /** In the transaction that queues the run. */
  besides: (tx: Tx, run: Run) => Promise<void>;
}

/** Queues one run; the partial unique index on live runs decides between two who ask at once. */
@Injectable()
export class RunStarts {
  // oxlint-disable-next-line max-params -- what is asked of other modules, and what is written here
  constructor(
    private readonly idempotency: Idempotency,
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
    private readonly signal: DispatchSignal,
    private readonly sync: RunSync,
    private readonly terms: RunTerms,
  ) {}

  /** As {@link StartRunCommand} says. @throws whatever it throws, and what `also` does */
  async start(command: StartRunCommand, also?: Also): Promise<RunReceipt> {
    const { actor, task_id, once } = command;
    const task = await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    const before = await this.idempotency.answered<RunReceipt>(actor, once);
    if (before) return before;
    try {
      return await this.startOnce(command, task, also);
    } catch (error) {
      // The same request sent twice at once: what the faster one did may be what stood in our way.
      const first = error instanceof DomainError ? await this.idempotency.answered<RunReceipt>(actor, once) : undefined;
      if (first) return first;
      throw error;
    }
  }

  private async startOnce(command: StartRunCommand, found: TaskView, also?: Also): Promise<RunReceipt> {
    const { actor, task_id, options } = command;
    const hasFollowed = await this.sync.followLatest(task_id); // the end of the run before is the task's first
    const task = hasFollowed ? await this.queries.execute(new GetTaskQuery(actor, task_id, 'write')) : found;
    requireStartable(task, options.force ?? false);
    const terms = await this.terms.of(task, options.agent_type);
    if (options.force) {
      await this.requireNoLiveRun(task_id);
      await also?.first();
      await this.commands.execute(new ReopenTaskCommand(actor, task_id, 'started again'));
    }
    return this.queue(command, { task, terms, also });
  }

  private async queue({ actor, options, once }: StartRunCommand, { task, terms, also }: NewRun) {
    // What changes after this look is seen by the review that the run's own event causes. Where places are limited that
    // review says whose turn it is, too: nobody slips past those who wait already.
    const held = await this.queries.execute(new FindHeldTasksQuery([task.id]));
    try {
      return await this.idempotency.run(actor, once, async (tx) => {
        const run = tx.em.create(Run, {
          id: uuidv7(),
          task_id: task.id,
          board_id: task.board_id,
          ...terms,
          ...{ repository_url: task.repository_url, branch: task.branch },
          priority: options.priority ?? (options.force ? FORCED_PRIORITY : task.priority),
          waits_for_tasks: held.length > 0,
          requested_by: actor.user_id,
        });
        await tx.em.flush();
        await also?.besides(tx, run);
        tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id: task.id, state: run.state }));
        tx.afterCommit(() => this.signal.ring());
        return receipt(run, null);
      });
    } catch (error) {
      throw refusalOf(error) ?? error;
    }
  }

  /** Before the card is touched; the index decides in the end. */
  private async requireNoLiveRun(task_id: string): Promise<void> {
    const live = await this.queries.execute(new FindTasksWithLiveRunQuery({ task_id }));
    if (live.length > 0) throw alreadyLive();
  }
}

interface NewRun {
  task: TaskView;
  terms: Terms;
  also: Also | undefined;
}

@CommandHandler(StartRunCommand)
export class StartRunHandler implements ICommandHandler<StartRunCommand> {
  constructor(private readonly starts: RunStarts) {}

  execute(command: StartRunCommand): Promise<RunReceipt> {
    return this.starts.start(command);
  }
}
