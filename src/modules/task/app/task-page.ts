import { sql, type RawBuilder } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import type { PageRequest } from '../../../common/validation/page.js';
import { readableBoard } from './board-access.js';
import { DEPENDS_ON, type TaskRow } from './records.js';
import { conditionsOf, countedTotal, every, isCounted, partsOf } from './task-filter.js';
import type { Condition, TaskFilter } from './task-filter.js';
import type { TaskOrder, TaskPosition } from './task-order.js';
import { hasWords } from './task-search.js';

/** Which part of which list. */
export interface TaskListRequest {
  actor: Actor;
  board_id: string;
  filter: TaskFilter;
  order: TaskOrder;
  after: TaskPosition | null;
  page: PageRequest;
}

/** One task of the page and the total; where the page is empty, one row that has the total only. */
export type TaskPageRow = { total: number } & ((TaskRow & { depends_on: string[] }) | { id: null });

/** Columns of a record. */
const RECORD = sql`${sql.join(
  [
    ...['id', 'board_id', 'title', 'description', 'state', 'priority', 'agent_type', 'repository_url', 'branch'],
    ...['assigned_agent_id', 'metadata', 'created_by', 'version', 'created_at', 'updated_at', 'started_at'],
    ...['completed_at', 'archived_at', 'inactivity_timeout_seconds', 'wall_clock_timeout_seconds', 'retry_policy'],
  ].map((column) => sql.ref(`t.${column}`)),
)}, ${DEPENDS_ON} as depends_on`;

/**
 * One statement, hence one snapshot, for access, total and page: no row when the actor may not read the board.
 * `limit + 1` tasks, so that the caller sees whether there are more.
 */
export function taskPageStatement(request: TaskListRequest): RawBuilder<TaskPageRow> {
  const { actor, board_id, filter, order } = request;
  const { with_clause, total, page } = filter.q === undefined ? listed(request) : searched(request, filter.q);
  // Left joins keep the order of work: nothing is read for those who may not.
  return sql<TaskPageRow>`${with_clause}
    select c.total, t.* from ${readableBoard(actor, board_id)}
    left join lateral (${total}) c on true
    left join lateral (${page}) t on true
    order by ${order.by('t')}`;
}

interface Parts {
  with_clause: Condition;
  total: Condition;
  page: Condition;
}

/** By the ordered indexes. */
function listed({ board_id, filter, order, after, page: { limit, offset } }: TaskListRequest): Parts {
  const conditions = (part: TaskFilter) => [
    sql`t.board_id = ${board_id}`,
    ...conditionsOf(part),
    ...(after ? [order.after(after, 't')] : []),
  ];
  const total = isCounted(filter)
    ? countedTotal(board_id, filter)
    : sql`select count(*) as total from tasks t where ${every([sql`t.board_id = ${board_id}`, ...conditionsOf(filter)])}`;
  // Few tasks have the same agent: there are no parts to be made of those.
  const parts = filter.assigned_agent_id === undefined ? partsOf(filter, order.column) : [filter];
  const first = limit + 1;
  if (parts.length === 1 && offset === 0) {
    const page = sql`select ${RECORD} from tasks t where ${every(conditions(filter))} order by ${order.by('t')} limit ${first}`;
    return { with_clause: sql``, total, page };
  }
  // Ids first, from the index alone: what is skipped costs no row.
  const ids = parts.map(
    (part) => sql`(select t.id, ${sql.ref(`t.${order.column}`)} from tasks t
      where ${every(conditions(part))} order by ${order.by('t')} limit ${offset + first})`,
  );
  const page = recordsOf(sql`(${sql.join(ids, sql` union all `)})`, order, sql`limit ${first} offset ${offset}`);
  return { with_clause: sql``, total, page };
}

/**
 * By the index of words, always: PostgreSQL can't know how many words begin like this, and would else walk the whole
 * board in order for a word that nobody wrote. Costs one or two microseconds a match, however large the board is.
 */
function searched({ board_id, filter, order, after, page: { limit, offset } }: TaskListRequest, q: string): Parts {
  const conditions = conditionsOf(filter);
  const with_clause = sql`with hits as materialized (
      select t.id, t.state, t.priority, t.agent_type, t.assigned_agent_id, t.created_at, t.updated_at, t.archived_at
      from tasks t where t.board_id = ${board_id} and ${hasWords(q)}
    ), found as (select t.* from hits t where ${conditions.length > 0 ? every(conditions) : sql`true`})`;
  const rest = after ? sql`where ${order.after(after, 'f')}` : sql``;
  return {
    with_clause,
    total: sql`select count(*) as total from found`,
    page: recordsOf(sql`(select * from found f ${rest})`, order, sql`limit ${limit + 1} offset ${offset}`),
  };
}

/** The records of the ids that come first. */
function recordsOf(ids: Condition, order: TaskOrder, range: Condition): Condition {
  return sql`select ${RECORD} from (select k.id from ${ids} k order by ${order.by('k')} ${range}) k
    join tasks t on t.id = k.id order by ${order.by('t')}`;
}
