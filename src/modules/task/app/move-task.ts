import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import type { TaskState } from '../contracts/task.types.js';
import { ReopenTaskCommand } from '../contracts/task.commands.js';
import { isTerminal } from '../domain/task-state.js';
import { actorTransaction } from './actor-transaction.js';
import { checkAgentTypes, type AgentTypeCheck } from './agent-type-check.js';
import { lockTask, visibleTasks } from './board-access.js';
import { moveByHand } from './move-by-hand.js';
import type { TaskRecord } from './records.js';
import { openDependencies, recordOf } from './task-dependencies.js';
import type { TaskDB } from './task-db.js';
import { saveChanged } from './task-history.js';
import { lockColumn } from './wip-columns.js';

/**
 * Moves a card by hand, if the task is still of one of the versions (null: of any).
 * Into progress starts the task's agent: where that can't be, the card stays.
 * @throws DomainError `task.not_found`, `board.forbidden`, `precondition.stale`, `task.archived`,
 *   `task.illegal_transition`, `task.dependencies_open`, `board.wip_limit`, `agent_type.not_found`,
 *   `agent_type.disabled`, `agent_type.process_runtime_off`
 */
export class MoveTaskCommand extends Command<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly state: TaskState,
    readonly options: {
      /** Why, for the history. */
      reason: string | null;
      /** Into a full column as well. */
      force: boolean;
    },
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

  async execute(command: MoveTaskCommand): Promise<TaskRecord> {
    const { actor, task_id, state, versions } = command;
    const { reason, force } = command.options;
    const agent_types = await this.checkAgentType(command);
    return actorTransaction(this.transactions, async (tx) => {
      const task = await lockTask(tx, actor, task_id, 'write', 'change');
      checkVersion(task.version, versions);
      const open = state === 'IN_PROGRESS' ? await openDependencies(tx.kysely<TaskDB>(), [task_id]) : [];
      const column = await lockColumn(tx, task.board_id, state);
      const moved = moveByHand(task, state, { open, agent_types, column, force }, new Date());
      await saveChanged(tx, { task, ...moved }, { actor, reason });
      return recordOf(tx, task);
    });
  }

  private async checkAgentType({ actor, task_id, state }: MoveTaskCommand): Promise<AgentTypeCheck> {
    if (state !== 'IN_PROGRESS') return new Map();
    const tasks = visibleTasks(this.transactions.kysely<TaskDB>(), actor).select('t.agent_type');
    const task = await tasks.where('t.id', '=', task_id).where('t.state', '=', 'TODO').executeTakeFirst();
    return checkAgentTypes(this.queries, task?.agent_type ? [task.agent_type] : []);
  }
}

@CommandHandler(ReopenTaskCommand)
export class ReopenTaskHandler implements ICommandHandler<ReopenTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, task_id, reason }: ReopenTaskCommand): Promise<{ state: TaskState }> {
    return actorTransaction(this.transactions, async (tx) => {
      const task = await lockTask(tx, actor, task_id, 'write', 'change');
      task.requireActive();
      if (!isTerminal(task.state)) return { state: task.state };
      (await lockColumn(tx, task.board_id, 'TODO')).enter('room');
      const changes = { state: task.apply('move_to_todo', new Date()) };
      await saveChanged(tx, { task, changes }, { actor, reason });
      return { state: task.state };
    });
  }
}
