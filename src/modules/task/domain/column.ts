import { DomainError } from '../../../common/errors/domain-error.js';
import type { TaskState } from '../contracts/task.types.js';

/** How full a column was when somebody entered it all the same. */
export interface OverLimit {
  max_tasks: number;
  tasks: number;
}

/** What a refusal tells people to do besides making room. `force`: there is a field of that name that overrides it. */
export type Way = 'force' | 'room';

/** A column of a board while nobody else enters it. `max_tasks` null: it takes any number. */
export class Column {
  constructor(
    readonly state: TaskState,
    readonly max_tasks: number | null,
    private tasks: number,
  ) {}

  get isFull(): boolean {
    return this.max_tasks !== null && this.tasks >= this.max_tasks;
  }

  /** Takes a place. @throws DomainError `board.wip_limit` (conflict) when there is none */
  enter(way: Way): void {
    if (this.isFull) throw wipLimit(this.state, { max_tasks: this.max_tasks ?? 0, tasks: this.tasks }, way);
    this.tasks += 1;
  }

  /** Takes a place whether there is one or not; says how full it was where there was none. */
  enterByForce(): OverLimit | null {
    const over = this.isFull ? { max_tasks: this.max_tasks ?? 0, tasks: this.tasks } : null;
    this.tasks += 1;
    return over;
  }
}

function wipLimit(state: TaskState, { max_tasks, tasks }: OverLimit, way: Way): DomainError {
  const room = 'Move one of them on or archive one, or have an owner raise the limit';
  const text = `${state} is full on this board: limit ${max_tasks}, tasks ${tasks}. ${room}${way === 'force' ? ', or use force' : ''}.`;
  return new DomainError('conflict', 'board.wip_limit', text, { state, max_tasks, tasks });
}
