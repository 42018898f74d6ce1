import { sql, type RawBuilder } from 'kysely';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';

/** What a list does with archived tasks. */
export const ARCHIVED = ['exclude', 'include', 'only'] as const;
export type Archived = (typeof ARCHIVED)[number];

/** Which tasks of a board; what is absent filters nothing. Times are RFC 3339 UTC with milliseconds. */
export interface TaskFilter {
  states?: TaskState[];
  priorities?: number[];
  agent_type?: string;
  assigned_agent_id?: string;
  /** Words of the title or the description, or their beginnings; all of them have to be there. */
  q?: string;
  /** Later than this. */
  created_after?: string;
  /** Earlier than this. */
  created_before?: string;
  archived: Archived;
}

export type Condition = RawBuilder<unknown>;

const ARCHIVED_CONDITION: Record<Archived, Condition | undefined> = {
  exclude: sql`t.archived_at is null`,
  include: undefined,
  only: sql`t.archived_at is not null`,
};

/** Whether `task_counts` knows how many there are. */
export function isCounted({ assigned_agent_id, q, created_after, created_before }: TaskFilter): boolean {
  return [assigned_agent_id, q, created_after, created_before].every((value) => value === undefined);
}

/** What the rows `t` of `tasks` have to fulfil besides their board and their words. */
export function conditionsOf(filter: TaskFilter): Condition[] {
  const { assigned_agent_id, created_after, created_before, archived } = filter;
  return [
    ARCHIVED_CONDITION[archived],
    ...countedConditions(filter),
    assigned_agent_id === undefined ? undefined : sql`t.assigned_agent_id = ${assigned_agent_id}`,
    created_after === undefined ? undefined : sql`t.created_at > ${created_after}`,
    created_before === undefined ? undefined : sql`t.created_at < ${created_before}`,
  ].filter((condition) => condition !== undefined);
}

/** How many tasks of the board pass a filter that {@link isCounted}, from the rows of `task_counts`. */
export function countedTotal(board_id: string, filter: TaskFilter): Condition {
  const { archived } = filter;
  const conditions = [sql`t.board_id = ${board_id}`, ...countedConditions(filter)];
  if (archived !== 'include') conditions.push(sql`t.archived = ${archived === 'only'}`);
  return sql`select coalesce(sum(t.n), 0)::bigint as total from task_counts t where ${every(conditions)}`;
}

/** All of them. */
export function every(conditions: readonly Condition[]): Condition {
  return sql.join(conditions, sql` and `);
}

const MOST_PARTS = 12; // all states of two priorities; planning more takes longer than reading past some rows

/**
 * The filter in parts that no task passes two of. Each has an index of its own in the order asked for, so that what is
 * asked for is not searched among all else: the newest completed tasks may be older than a million others.
 */
export function partsOf(filter: TaskFilter, order: 'created_at' | 'updated_at' | 'priority'): TaskFilter[] {
  const { states = TASK_STATES, priorities, archived } = filter;
  if (archived === 'include')
    return [...partsOf({ ...filter, archived: 'exclude' }, order), { ...filter, archived: 'only' }];
  if (archived === 'only' || order === 'updated_at') return [filter];
  if (order === 'created_at' && priorities !== undefined && states.length * priorities.length <= MOST_PARTS)
    return states.flatMap((state) => priorities.map((n) => ({ ...filter, states: [state], priorities: [n] })));
  if (states.length === TASK_STATES.length) return [filter];
  return states.map((state) => ({ ...filter, states: [state] }));
}

/** Conditions on columns that `tasks` and `task_counts` both have. */
function countedConditions({ states, priorities, agent_type }: TaskFilter): Condition[] {
  return [
    states === undefined || states.length === TASK_STATES.length ? undefined : oneOf(sql.ref('t.state'), states),
    priorities === undefined ? undefined : oneOf(sql.ref('t.priority'), priorities),
    agent_type === undefined ? undefined : sql`t.agent_type = ${agent_type}`,
  ].filter((condition) => condition !== undefined);
}

function oneOf(column: Condition, values: readonly (string | number)[]): Condition {
  return values.length === 1 ? sql`${column} = ${values[0]}` : sql`${column} in (${sql.join(values)})`;
}
