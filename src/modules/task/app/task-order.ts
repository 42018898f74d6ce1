import { sql } from 'kysely';
import { decodeListCursor, encodeListCursor, wrongCursor } from '../../../common/validation/cursor.js';
import { isUuid } from '../../../common/validation/id.decorator.js';
import type { Condition } from './task-filter.js';
import type { TaskRecord } from './records.js';

/** Orders of a list of tasks: by a column, `-` for the greatest first; ties by id in the same direction. */
export const TASK_SORTS = ['-created_at', 'created_at', '-updated_at', 'updated_at', '-priority', 'priority'] as const;
export type TaskSort = (typeof TASK_SORTS)[number];

type SortColumn = 'created_at' | 'updated_at' | 'priority';

/** Where a page ended. */
export interface TaskPosition {
  value: string;
  id: string;
}

/** One order, as SQL over a row source with its column and `id`. */
export class TaskOrder {
  readonly column: SortColumn;
  private readonly descending: boolean;

  constructor(sort: TaskSort) {
    this.descending = sort.startsWith('-');
    this.column = (this.descending ? sort.slice(1) : sort) as SortColumn;
  }

  /** `order by` without the words. */
  by(alias: string): Condition {
    const direction = this.descending ? sql`desc` : sql`asc`;
    return sql`${sql.ref(`${alias}.${this.column}`)} ${direction}, ${sql.ref(`${alias}.id`)} ${direction}`;
  }

  /** What comes after the position. */
  after({ value, id }: TaskPosition, alias: string): Condition {
    const than = this.descending ? sql`<` : sql`>`;
    const type = this.column === 'priority' ? sql`integer` : sql`timestamptz`;
    const row = sql`(${sql.ref(`${alias}.${this.column}`)}, ${sql.ref(`${alias}.id`)})`;
    return sql`${row} ${than} (${value}::${type}, ${id}::uuid)`;
  }

  cursorOf(list: string, task: TaskRecord): string {
    return encodeListCursor(list, [String(task[this.column]), task.id]);
  }

  /** @throws DomainError `request.invalid` when the cursor is of another list */
  decode(list: string, cursor: string): TaskPosition {
    const [value = '', id, ...rest] = decodeListCursor(list, cursor);
    if (rest.length > 0 || !isUuid(id) || !this.isValue(value)) throw wrongCursor();
    return { value, id };
  }

  private isValue(value: string): boolean {
    if (this.column === 'priority') return /^\d{1,2}$/.test(value);
    const time = new Date(value);
    return !Number.isNaN(time.getTime()) && time.toISOString() === value && /^\d{4}-/.test(value);
  }
}
