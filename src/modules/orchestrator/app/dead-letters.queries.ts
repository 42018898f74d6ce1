import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { encodePosition } from '../../../common/validation/cursor.js';
import { pageOf, type Page, type PageRequest } from '../../../common/validation/page.js';
import { ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import { behind, openLetters, type DeadLetterFilter } from './open-dead-letters.js';
import type { RunDB } from './run-rows.js';

/** A run that was given up, with the failure of its last attempt. Times are RFC 3339. */
export interface DeadLetter {
  /** Of the run. */
  id: string;
  task_id: string;
  board_id: string;
  agent_type: string;
  priority: number;
  /** How many were made. */
  attempts: number;
  failure_code: string | null;
  failure_message: string | null;
  requested_by: string | null;
  queued_at: string;
  dead_lettered_at: string;
}

/**
 * The dead letters on boards that the actor may see, newest first: neither redriven nor dismissed, and no later run of
 * their task has completed.
 * @throws DomainError `request.invalid` for a cursor that is none
 */
export class ListDeadLettersQuery extends Query<Page<DeadLetter>> {
  constructor(
    readonly actor: Actor,
    readonly filter: DeadLetterFilter,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListDeadLettersQuery)
export class ListDeadLettersHandler implements IQueryHandler<ListDeadLettersQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, filter, page }: ListDeadLettersQuery): Promise<Page<DeadLetter>> {
    const after = behind(page.cursor);
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
    const letters = openLetters(this.transactions.kysely<RunDB>(), boards, filter);
    const rows = await letters
      .select(['id', 'task_id', 'board_id', 'agent_type', 'priority', 'attempt', 'requested_by', 'queued_at'])
      .select(['failure_code', 'failure_message', 'dead_lettered_at'])
      .where(after)
      .orderBy('dead_lettered_at', 'desc')
      .orderBy('id', 'desc')
      .offset(page.offset)
      .limit(page.limit + 1)
      .execute();
    const { total } = await letters.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    const records = rows.map(({ attempt, queued_at, dead_lettered_at, ...row }) => ({
      ...{ ...row, attempts: attempt, queued_at: toTimestamp(queued_at) },
      dead_lettered_at: toTimestamp(dead_lettered_at ?? queued_at),
    }));
    return pageOf(records, page, total, ({ id, dead_lettered_at }) =>
      encodePosition({ created_at: dead_lettered_at, id }),
    );
  }
}
