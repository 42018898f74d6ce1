import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import type { DomainError } from '../../../common/errors/domain-error.js';
import { Idempotency, type OnceKey } from '../../../common/idempotency/idempotency.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { actorOnce } from './actor-transaction.js';
import { checkAgentTypes, type AgentTypeCheck } from './agent-type-check.js';
import { authorizeBoard } from './board-access.js';
import { applyBulk, type BulkInput, type BulkResult } from './bulk-actions.js';
import { LiveRuns, runLive, stillStopping, stopDeadline, unlessRunLive } from './live-runs.js';
import type { TaskDB } from './task-db.js';

/**
 * Does the same with many tasks of a board: all that is allowed in one transaction, with an answer for each task.
 * @throws DomainError `board.not_found`, `board.forbidden`, `idempotency.key_reused`, `task.still_stopping`
 */
export class BulkTasksCommand extends Command<BulkResult> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly input: BulkInput,
    readonly once: OnceKey | null = null,
  ) {
    super();
  }
}

@CommandHandler(BulkTasksCommand)
export class BulkTasksHandler implements ICommandHandler<BulkTasksCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly idempotency: Idempotency,
    private readonly queries: QueryBus,
    private readonly liveRuns: LiveRuns,
  ) {}

  async execute(command: BulkTasksCommand): Promise<BulkResult> {
    const { actor, board_id, input, once } = command;
    await authorizeBoard(this.transactions.kysely<TaskDB>(), actor, board_id, 'write');
    const before = await this.idempotency.answered<BulkResult>(actor, once);
    if (before) return before;
    // What other modules know is asked for first: while rows are locked nobody is asked.
    const deadline = stopDeadline();
    const agent_types = await this.checkAgentTypes(command);
    for (;;) {
      const refused = await this.refused(command, deadline);
      const done = await unlessRunLive(() =>
        actorOnce(this.idempotency, actor, once, (tx) =>
          applyBulk(tx, { actor, board_id, input }, { refused, agent_types }),
        ),
      );
      if (done) return done.result;
      if (Date.now() > deadline) throw stillStopping([]); // runs were started again and again in between
    }
  }

  /** The tasks that a live run keeps from being deleted or archived, each with what to tell of it. */
  private async refused(command: BulkTasksCommand, deadline: number): Promise<Map<string, DomainError>> {
    const { actor, board_id, input } = command;
    const { action, force } = input;
    if (action !== 'delete' && action !== 'archive') return new Map();
    const ids = new Set(input.task_ids);
    if (action === 'delete' && force) {
      const live = await this.liveRuns.stop(actor, { board_id }, deadline, ids);
      return new Map(live.map((id) => [id, stillStopping([id])]));
    }
    const live = await this.liveRuns.find({ board_id });
    return new Map(live.map((id) => [id, runLive(action, action === 'delete')]));
  }

  /** The agents that moving cards into progress would start. */
  private async checkAgentTypes({ board_id, input }: BulkTasksCommand): Promise<AgentTypeCheck> {
    if (input.action !== 'set_state' || input.state !== 'IN_PROGRESS') return new Map();
    const rows = await this.transactions
      .kysely<TaskDB>()
      .selectFrom('tasks')
      .select('agent_type')
      .distinct()
      .where('board_id', '=', board_id)
      .where('id', '=', sql<string>`any(${input.task_ids}::uuid[])`)
      .where('state', '=', 'TODO')
      .where('agent_type', 'is not', null)
      .execute();
    return checkAgentTypes(
      this.queries,
      rows.flatMap(({ agent_type }) => agent_type ?? []),
    );
  }
}
