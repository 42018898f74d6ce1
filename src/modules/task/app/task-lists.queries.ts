import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodeNumber, decodePosition, encodeNumber } from '../../../common/validation/cursor.js';
import { newestFirst, pageOf, type Page, type PageRequest } from '../../../common/validation/page.js';
import type { TaskState } from '../contracts/task.types.js';
import { authorizeBoard, visibleTasks } from './board-access.js';
import { toTaskEventRecord, toTaskRecord, type TaskEventRecord, type TaskRecord } from './records.js';
import type { TaskDB } from './task-db.js';

/** Which tasks of a board; what is absent filters nothing. */
export interface TaskFilter {
  states?: TaskState[];
  priority?: number;
  agent_type?: string;
  /** Part of the title or the description, whatever the case. */
  q?: string;
}

/** The tasks of a board, newest first. @throws DomainError `board.not_found` */
export class ListTasksQuery extends Query<Page<TaskRecord>> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly filter: TaskFilter,
    readonly page: PageRequest,
  ) {
    super();
  }
}

/** The history of a task, oldest line first. @throws DomainError `task.not_found` */
export class ListTaskEventsQuery extends Query<Page<TaskEventRecord>> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListTasksQuery)
export class ListTasksHandler implements IQueryHandler<ListTasksQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, board_id, filter, page }: ListTasksQuery): Promise<Page<TaskRecord>> {
    const after = page.cursor === null ? null : decodePosition(page.cursor);
    await authorizeBoard(this.transactions.kysely<TaskDB>(), actor, board_id, 'read');
    const tasks = this.filtered(board_id, filter);
    const [rows, { total }] = await Promise.all([
      tasks
        .selectAll()
        .$if(after !== null, (query) =>
          query.where(sql<boolean>`(created_at, id) < (${after?.created_at}, ${after?.id})`),
        )
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .offset(page.offset)
        .limit(page.limit + 1)
        .execute(),
      tasks.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow(),
    ]);
    return newestFirst(rows.map(toTaskRecord), page, total);
  }

  private filtered(board_id: string, { states, priority, agent_type, q }: TaskFilter) {
    let tasks = this.transactions.kysely<TaskDB>().selectFrom('tasks').where('board_id', '=', board_id);
    if (states !== undefined) tasks = tasks.where('state', 'in', states);
    if (priority !== undefined) tasks = tasks.where('priority', '=', priority);
    if (agent_type !== undefined) tasks = tasks.where('agent_type', '=', agent_type);
    if (q !== undefined) {
      const pattern = `%${q.replace(/[\\%_]/g, '\\$&')}%`;
      tasks = tasks.where((eb) => eb.or([eb('title', 'ilike', pattern), eb('description', 'ilike', pattern)]));
    }
    return tasks;
  }
}

@QueryHandler(ListTaskEventsQuery)
export class ListTaskEventsHandler implements IQueryHandler<ListTaskEventsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, task_id, page }: ListTaskEventsQuery): Promise<Page<TaskEventRecord>> {
    const after = page.cursor === null ? null : decodeNumber(page.cursor);
    const db = this.transactions.kysely<TaskDB>();
    if (!(await visibleTasks(db, actor).select('t.id').where('t.id', '=', task_id).executeTakeFirst()))
      throw notFound('task');
    const events = db.selectFrom('task_events').where('task_id', '=', task_id);
    const [rows, { total }] = await Promise.all([
      events
        .selectAll()
        .$if(after !== null, (query) => query.where('id', '>', after ?? 0))
        .orderBy('id')
        .offset(page.offset)
        .limit(page.limit + 1)
        .execute(),
      events.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow(),
    ]);
    return pageOf(rows.map(toTaskEventRecord), page, total, ({ id }) => encodeNumber(id));
  }
}
