import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { GetStartableAgentTypeQuery } from '../../agent/contracts/agent.queries.js';
import { ReopenTaskCommand } from '../contracts/task.commands.js';
import type { TaskState } from '../contracts/task.types.js';
import { isTerminal, moveTo } from '../domain/task-state.js';
import { actorTransaction } from './actor-transaction.js';
import { lockTask } from './board-access.js';
import { toTaskRecord, type TaskRecord } from './records.js';
import { saveChanged } from './task-history.js';

/**
 * Moves a card by hand, if the task is still of one of the versions (null: of any).
 * Into progress starts the task's agent: where that can't be, the card stays.
 * @throws DomainError `task.not_found`, `board.forbidden`, `precondition.stale`, `task.illegal_transition`,
 *   `agent_type.not_found`, `agent_type.disabled`, `agent_type.unsupported_protocol`, `agent_type.process_runtime_off`
 */
export class MoveTaskCommand extends Command<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly state: TaskState,
    readonly reason: string | null,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(MoveTaskCommand)
export class MoveTaskHandler implements ICommandHandler<MoveTaskCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  execute({ actor, task_id, state, reason, versions }: MoveTaskCommand): Promise<TaskRecord> {
    return actorTransaction(this.transactions, async (tx) => {
      const task = await lockTask(tx, actor, task_id, 'write', 'change');
      checkVersion(task.version, versions);
      const moved = task.apply(moveTo(state), new Date());
      const starts = moved.from === 'TODO' && moved.to === 'IN_PROGRESS' ? task.agent_type : null;
      if (starts) await this.queries.execute(new GetStartableAgentTypeQuery(starts));
      await saveChanged(tx, task, { state: moved }, { actor, reason });
      return toTaskRecord(task);
    });
  }
}

@CommandHandler(ReopenTaskCommand)
export class ReopenTaskHandler implements ICommandHandler<ReopenTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, task_id, reason }: ReopenTaskCommand): Promise<{ state: TaskState }> {
    return actorTransaction(this.transactions, async (tx) => {
      const task = await lockTask(tx, actor, task_id, 'write', 'change');
      if (!isTerminal(task.state)) return { state: task.state };
      await saveChanged(tx, task, { state: task.apply('move_to_todo', new Date()) }, { actor, reason });
      return { state: task.state };
    });
  }
}
