import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { QueryResult } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { listName } from '../../../common/validation/cursor.js';
import { pageOf, type Page, type PageRequest } from '../../../common/validation/page.js';
import { toTaskRecord, type TaskRecord } from './records.js';
import type { TaskDB } from './task-db.js';
import { isCounted, type TaskFilter } from './task-filter.js';
import { TaskOrder, type TaskSort } from './task-order.js';
import { taskPageStatement, type TaskPageRow } from './task-page.js';

/**
 * The tasks of a board that pass the filter, in this order. A cursor is good for the same board, filter and order.
 * @throws DomainError `board.not_found`, `request.invalid` for a cursor of another list, `request.too_slow`
 */
export class ListTasksQuery extends Query<Page<TaskRecord>> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly filter: TaskFilter,
    readonly sort: TaskSort,
    readonly page: PageRequest,
  ) {
    super();
  }
}

const QUICK_OFFSET = 1_000; // skipping these takes less than the fence around a statement costs

@QueryHandler(ListTasksQuery)
export class ListTasksHandler implements IQueryHandler<ListTasksQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, board_id, filter, sort, page }: ListTasksQuery): Promise<Page<TaskRecord>> {
    const order = new TaskOrder(sort);
    const list = listName('tasks', board_id, sort, canonical(filter));
    const after = page.cursor === null ? null : order.decode(list, page.cursor);
    const statement = taskPageStatement({ actor, board_id, filter, order, after, page });
    const quick = isCounted(filter) && page.offset <= QUICK_OFFSET;
    const { rows } = quick
      ? await statement.execute(this.transactions.kysely<TaskDB>())
      : await this.transactions.fenced<TaskDB, QueryResult<TaskPageRow>>((db) => statement.execute(db));
    if (!rows[0]) throw notFound('board');
    const tasks = rows.flatMap((row) => (row.id === null ? [] : [toTaskRecord(row)]));
    return pageOf(tasks, page, rows[0].total, (task) => order.cursorOf(list, task));
  }
}

/** The same for filters that mean the same. */
function canonical({ states, priorities, ...rest }: TaskFilter): unknown {
  const entries = Object.entries({
    ...rest,
    states: states?.toSorted(),
    priorities: priorities?.toSorted((a, b) => a - b),
  });
  return entries.filter(([, value]) => value !== undefined).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
