import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import type { BoardPermission, TaskState, TaskView, WipState } from './task.types.js';

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

/** Ids of all boards on which the actor may do `permission`; `'all'` for admins. */
export class ListVisibleBoardsQuery extends Query<string[] | 'all'> {
  constructor(
    readonly actor: Actor,
    readonly permission: BoardPermission = 'read',
  ) {
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

/**
 * Those of the tasks whose dispatch may have to wait: they depend on others that are not completed, or their board limits
 * IN_PROGRESS and they are not there yet. No access check.
 */
export class FindHeldTasksQuery extends Query<string[]> {
  constructor(readonly task_ids: readonly string[]) {
    super();
  }
}

/** A task that the dispatch of a run would move into a limited column, and how full that is. */
export interface WipBlock {
  task_id: string;
  board_id: string;
  state: WipState;
  max_tasks: number;
  /** How many tasks are there now; more than `max_tasks` where the limit was lowered, or somebody used force. */
  tasks: number;
  /** The last run that the task has heard of: that one moves the task no more. */
  last_run_id: string | null;
}

/**
 * Those of the tasks whose board limits IN_PROGRESS and that are not there yet. A queued run of such a task waits while
 * the column is full, and while runs ahead of it are to get what is free. No access check.
 */
export class FindWipBlocksQuery extends Query<WipBlock[]> {
  constructor(readonly task_ids: string[]) {
    super();
  }
}

/** Those of the boards that limit IN_PROGRESS, and how full it is. No access check. */
export class FindWipRoomQuery extends Query<{ board_id: string; max_tasks: number; tasks: number }[]> {
  constructor(readonly board_ids: string[]) {
    super();
  }
}

/** The names of those of the boards that exist. No access check: for ids that the caller may see. */
export class FindBoardNamesQuery extends Query<{ id: string; name: string }[]> {
  constructor(readonly ids: string[]) {
    super();
  }
}
