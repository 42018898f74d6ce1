import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import type { BoardPermission, TaskState, TaskView } from './task.types.js';

/**
 * A task, for an actor who may do `permission` on its board.
 * @throws DomainError `task.not_found`; `board.forbidden` when the actor's role on the board is too small
 */
export class GetTaskQuery extends Query<TaskView> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly permission: BoardPermission = 'read',
  ) {
    super();
  }
}

/** Checks that the actor may do `permission` on the board. @throws DomainError `board.not_found`, `board.forbidden` */
export class AuthorizeBoardQuery extends Query<{ board_id: string }> {
  constructor(
    readonly actor: Actor,
    readonly board_id: string,
    readonly permission: BoardPermission,
  ) {
    super();
  }
}

/** Ids of all boards the actor may read; `'all'` for admins. */
export class ListVisibleBoardsQuery extends Query<string[] | 'all'> {
  constructor(readonly actor: Actor) {
    super();
  }
}

/** The board of each of the tasks that exist and that the actor may read. Unknown or foreign ids are left out. */
export class FindVisibleTasksQuery extends Query<{ task_id: string; board_id: string }[]> {
  constructor(
    readonly actor: Actor,
    readonly filter: { task_ids?: string[]; board_ids?: string[] },
  ) {
    super();
  }
}

/** A board or a task that somebody reads; `user_id` null for one who may read everything that is there. */
export interface ReadGrant {
  user_id: string | null;
  kind: 'board' | 'task';
  id: string;
}

/** A grant that does not hold any more; `deleted` where that is because the board or task is gone. */
export interface LostGrant extends ReadGrant {
  deleted: boolean;
}

/** Those of the grants that do not hold (any more). One statement, however many there are. */
export class FindLostGrantsQuery extends Query<LostGrant[]> {
  constructor(readonly grants: readonly ReadGrant[]) {
    super();
  }
}

/** A task that another one waits for. */
export interface OpenDependency {
  task_id: string;
  depends_on_id: string;
  title: string;
  state: TaskState;
}

/** What the tasks wait for: of each, the tasks it depends on that are not COMPLETED. No access check. */
export class FindOpenDependenciesQuery extends Query<OpenDependency[]> {
  constructor(readonly task_ids: string[]) {
    super();
  }
}

/** Ids of the tasks that depend on this one. No access check. */
export class FindDependentsQuery extends Query<string[]> {
  constructor(readonly task_id: string) {
    super();
  }
}
