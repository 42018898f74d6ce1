import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { FindTasksWithLiveRunQuery } from '../../orchestrator/contracts/run.queries.js';
import { TaskDeletedEvent } from '../contracts/task.events.js';
import { assignChanges } from '../domain/changes.js';
import { Task } from '../domain/task.entity.js';
import { actorTransaction } from './actor-transaction.js';
import { authorizeBoard, lockTask } from './board-access.js';
import { Deletions } from './deletions.js';
import { toTaskRecord, type TaskRecord } from './records.js';
import { saveChanged, saveCreated } from './task-history.js';
import type { TaskDB } from './task-db.js';

/** What a person writes on a card. */
export interface TaskInput {
  title: string;
  description: string;
  priority: number;
  agent_type: string | null;
  repository_url: string | null;
  branch: string | null;
  metadata: Record<string, unknown>;
}

/** Puts a new task on a board. @throws DomainError `board.not_found`, `board.forbidden` */
export class CreateTaskCommand extends Command<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly input: TaskInput,
  ) {
    super();
  }
}

/**
 * Changes the given fields of a task, if it is still of one of the versions (null: of any).
 * @throws DomainError `task.not_found`, `board.forbidden`, `precondition.stale`
 */
export class UpdateTaskCommand extends Command<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly patch: Partial<TaskInput>,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

/**
 * Deletes a task and all that belongs to it.
 * @throws DomainError `task.not_found`, `board.forbidden`, `precondition.stale`, `task.run_live`
 */
export class DeleteTaskCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(CreateTaskCommand)
export class CreateTaskHandler implements ICommandHandler<CreateTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, board_id, input }: CreateTaskCommand): Promise<TaskRecord> {
    return actorTransaction(this.transactions, async (tx) => {
      await authorizeBoard(tx.kysely<TaskDB>(), actor, board_id, 'write', 'keep');
      if (actor.user_id === null)
        throw new DomainError('forbidden', 'board.forbidden', 'A task needs a person who made it.');
      const task = tx.em.create(
        Task,
        { id: uuidv7(), board_id, ...input, created_by: actor.user_id },
        { persist: true },
      );
      await saveCreated(tx, task, { actor });
      return toTaskRecord(task);
    });
  }
}

@CommandHandler(UpdateTaskCommand)
export class UpdateTaskHandler implements ICommandHandler<UpdateTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, task_id, patch, versions }: UpdateTaskCommand): Promise<TaskRecord> {
    return actorTransaction(this.transactions, async (tx) => {
      const task = await lockTask(tx, actor, task_id, 'write', 'change');
      checkVersion(task.version, versions);
      await saveChanged(tx, task, assignChanges<Partial<TaskInput>>(task, patch), { actor });
      return toTaskRecord(task);
    });
  }
}

@CommandHandler(DeleteTaskCommand)
export class DeleteTaskHandler implements ICommandHandler<DeleteTaskCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly deletions: Deletions,
  ) {}

  execute(command: DeleteTaskCommand): Promise<void> {
    return this.deletions.run(() => this.transactions.run((tx) => this.delete(tx, command)));
  }

  private async delete(tx: Tx, { actor, task_id, versions }: DeleteTaskCommand): Promise<void> {
    const task = await lockTask(tx, actor, task_id, 'write', 'delete');
    checkVersion(task.version, versions);
    const running = await this.queries.execute(new FindTasksWithLiveRunQuery({ task_id }));
    if (running.length > 0)
      throw new DomainError(
        'conflict',
        'task.run_live',
        'The task has a live run. Stop it first, then delete the task.',
      );
    tx.em.remove(task);
    tx.emit(new TaskDeletedEvent(task_id, task.version + 1, { board_id: task.board_id, actor_id: actor.user_id }));
  }
}
