import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Idempotency, type OnceKey } from '../../../common/idempotency/idempotency.js';
import type { RetryPolicy } from '../../../common/retries/retry-policy.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import { assignChanges } from '../domain/changes.js';
import { Task } from '../domain/task.entity.js';
import { actorOnce, actorTransaction } from './actor-transaction.js';
import { checkAgentTypes, requireStartable } from './agent-type-check.js';
import { authorizeBoard, lockTask } from './board-access.js';
import { taskRecord, type TaskRecord } from './records.js';
import { addDependencies, recordOf, replaceDependencies, requireOnBoard } from './task-dependencies.js';
import type { TaskDB } from './task-db.js';
import { saveChanged, saveCreated } from './task-history.js';
import { loadTasks, lockBoardOf, lockTasks } from './task-locks.js';
import { lockColumn } from './wip-columns.js';

/** What a person writes on a card. */
export interface TaskInput {
  title: string;
  description: string;
  priority: number;
  agent_type: string | null;
  repository_url: string | null;
  branch: string | null;
  inactivity_timeout_seconds: number | null;
  wall_clock_timeout_seconds: number | null;
  retry_policy: RetryPolicy | null;
  metadata: Record<string, unknown>;
}

/** What is said of a new card besides. */
export interface NewTaskOptions {
  /** Tasks of the same board, none twice. */
  depends_on?: string[];
  /** Queue a run of it as soon as it is there. */
  auto_start?: boolean;
}

/**
 * Puts a new task on a board.
 * @throws DomainError `board.not_found`, `board.forbidden`, `agent_type.not_found`, `idempotency.key_reused`,
 *   `board.wip_limit`, `request.invalid` for dependencies that are not on the board; with `auto_start` also `agent_type.disabled`,
 *   `agent_type.process_runtime_off`
 */
export class CreateTaskCommand extends Command<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly input: TaskInput,
    readonly options: NewTaskOptions = {},
    readonly once: OnceKey | null = null,
  ) {
    super();
  }
}

/** The given fields of a task; `depends_on` replaces the list. */
export type TaskPatch = Partial<TaskInput> & { depends_on?: string[] };

/**
 * Changes the given fields of a task, if it is still of one of the versions (null: of any).
 * @throws DomainError `task.not_found`, `board.forbidden`, `precondition.stale`, `task.archived`,
 *   `agent_type.not_found`, `task.dependency_cycle`; `request.invalid` for dependencies that are not on the board
 */
export class UpdateTaskCommand extends Command<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly patch: TaskPatch,
    readonly versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(CreateTaskCommand)
export class CreateTaskHandler implements ICommandHandler<CreateTaskCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly idempotency: Idempotency,
    private readonly queries: QueryBus,
  ) {}

  async execute(command: CreateTaskCommand): Promise<TaskRecord> {
    const { actor, board_id, input, options, once } = command;
    if (options.auto_start || once) {
      // Also whoever sends it again must still be allowed to.
      await authorizeBoard(this.transactions.kysely<TaskDB>(), actor, board_id, 'write');
      const before = await this.idempotency.answered<TaskRecord>(actor, once);
      if (before) return before;
    }
    if (options.auto_start) await this.requireStartable(input.agent_type);
    return actorOnce(this.idempotency, actor, once, (tx) => create(tx, command));
  }

  private async requireStartable(agent_type: string | null): Promise<void> {
    if (agent_type === null) throw invalidRequest([{ field: 'agent_type', message: 'is needed for auto_start' }]);
    requireStartable(await checkAgentTypes(this.queries, [agent_type]), agent_type);
  }
}

async function create(tx: Tx, { actor, board_id, input, options }: CreateTaskCommand): Promise<TaskRecord> {
  const depends_on = (options.depends_on ?? []).toSorted();
  const hold = depends_on.length > 0 ? 'change' : 'keep'; // see lockBoardOf
  await authorizeBoard(tx.kysely<TaskDB>(), actor, board_id, 'write', hold);
  if (actor.user_id === null)
    throw new DomainError('forbidden', 'board.forbidden', 'A task needs a person who made it.');
  if (options.depends_on?.length) requireOnBoard(options.depends_on, await lockTasks(tx, board_id, depends_on, 'keep'));
  (await lockColumn(tx, board_id, 'TODO')).enter('room');
  const row = { id: uuidv7(), board_id, ...input, created_by: actor.user_id };
  const task = tx.em.create(Task, row, { persist: true });
  await saveCreated(tx, task, { actor }, options.auto_start);
  await addDependencies(tx, task.id, depends_on); // nobody depends on it yet, so there is no cycle
  return taskRecord(task, depends_on);
}

@CommandHandler(UpdateTaskCommand)
export class UpdateTaskHandler implements ICommandHandler<UpdateTaskCommand> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, task_id, patch, versions }: UpdateTaskCommand): Promise<TaskRecord> {
    const { depends_on, ...fields } = patch;
    return actorTransaction(this.transactions, async (tx) => {
      const { task, found } = await lockForUpdate(tx, actor, task_id, depends_on);
      checkVersion(task.version, versions);
      task.requireActive();
      if (depends_on) requireOnBoard(depends_on, found);
      const changes = assignChanges<Partial<TaskInput>>(task, fields);
      if (depends_on) Object.assign(changes, await replaceDependencies(tx, task, depends_on));
      await saveChanged(tx, { task, changes }, { actor });
      return recordOf(tx, task);
    });
  }
}

/** The locked task, and which of the tasks it is to depend on are on its board. */
async function lockForUpdate(
  tx: Tx,
  actor: Actor,
  task_id: string,
  depends_on: string[] | undefined,
): Promise<{ task: Task; found: Set<string> }> {
  if (!depends_on) return { task: await lockTask(tx, actor, task_id, 'write', 'change'), found: new Set() };
  const board_id = await lockBoardOf(tx, actor, task_id);
  const found = await lockTasks(tx, board_id, [task_id, ...depends_on], 'change');
  const task = (await loadTasks(tx, [task_id])).get(task_id);
  if (!task) throw notFound('task');
  return { task, found };
}
