import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type RawBuilder, type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodeListCursor, encodeListCursor, listName, wrongCursor } from '../../../common/validation/cursor.js';
import { pageOf, type Page, type PageRequest } from '../../../common/validation/page.js';
import { FindUsersQuery } from '../../identity/contracts/user.queries.js';
import { readableTask } from './board-access.js';
import { toTaskEventRecord, type TaskEventRecord } from './records.js';
import type { TaskDB } from './task-db.js';

/** The history of a task, oldest line first. @throws DomainError `task.not_found`, `request.invalid` */
export class ListTaskEventsQuery extends Query<Page<TaskEventRecord>> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly filter: { event_types?: string[] },
    readonly page: PageRequest,
  ) {
    super();
  }
}

type EventRow = { total: number } & (Selectable<TaskDB['task_events']> | { id: null });

@QueryHandler(ListTaskEventsQuery)
export class ListTaskEventsHandler implements IQueryHandler<ListTaskEventsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, filter, page }: ListTaskEventsQuery): Promise<Page<TaskEventRecord>> {
    const { event_types } = filter;
    const list = listName('task_events', task_id, event_types?.toSorted());
    const after = page.cursor === null ? 0 : decode(list, page.cursor);
    const statement = taskEventsStatement(actor, task_id, event_types, after, page);
    const { rows } = await statement.execute(this.transactions.kysely<TaskDB>());
    if (!rows[0]) throw notFound('task');
    const events = rows.flatMap((row) => (row.id === null ? [] : [row]));
    const names = await this.usernames(events.map(({ created_by }) => created_by));
    const records = events.map((row) => toTaskEventRecord(row, names.get(row.created_by ?? '') ?? null));
    return pageOf(records, page, rows[0].total, ({ id }) => encodeListCursor(list, [String(id)]));
  }

  private async usernames(ids: (string | null)[]): Promise<Map<string, string>> {
    const wanted = [...new Set(ids.filter((id) => id !== null))];
    const users = wanted.length > 0 ? await this.queries.execute(new FindUsersQuery(wanted)) : [];
    return new Map(users.map(({ id, username }) => [id, username]));
  }
}

/** One statement, hence one snapshot, for access, total and page: no row when the actor may not read the task. */
export function taskEventsStatement(
  actor: Actor,
  task_id: string,
  event_types: string[] | undefined,
  after: number,
  { limit, offset }: PageRequest,
): RawBuilder<EventRow> {
  const lines = sql`from task_events e where e.task_id = ${task_id}
    ${event_types === undefined ? sql`` : sql`and e.event_type in (${sql.join(event_types)})`}`;
  return sql<EventRow>`select c.total, e.* from ${readableTask(actor, task_id)}
    left join lateral (select count(*) as total ${lines}) c on true
    left join lateral (
      select e.* ${lines} and e.id > ${after} order by e.id limit ${limit + 1} offset ${offset}
    ) e on true order by e.id`;
}

function decode(list: string, cursor: string): number {
  const [digits = '', ...rest] = decodeListCursor(list, cursor);
  if (rest.length > 0 || !/^\d{1,15}$/.test(digits)) throw wrongCursor();
  return Number(digits);
}
