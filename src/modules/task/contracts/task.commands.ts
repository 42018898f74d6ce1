import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import type { TaskState, TaskView } from './task.types.js';

/** What a run tells its task. */
export type RunOutcome = 'dispatched' | 'completed' | 'failed' | 'cancelled';

/**
 * Moves a task as its run goes along. Idempotent: an end that the task has already taken over, or that comes when
 * a person has finished the task, changes nothing. Unknown tasks (deleted meanwhile) are ignored.
 * `wip_full`: the dispatch would move it into a column that has as many tasks as it may have, so the task stays where it
 * is, and the run is not to be launched.
 */
export class ApplyRunToTaskCommand extends Command<{ state: TaskState | null; wip_full?: true }> {
  constructor(
    readonly task_id: string,
    readonly run_id: string,
    readonly outcome: RunOutcome,
    /** For the history: why, in words for people. */
    readonly reason: string | null,
    /** The instance that works on the task now; null when none does. */
    readonly agent_id: string | null,
  ) {
    super();
  }
}

/**
 * While a task's run waits for a person's answer, the task is `BLOCKED`: with a reason, one that is in progress and follows
 * that run becomes so; with null, one that this command has blocked goes back. What a person has blocked or moved stays,
 * until the run asks something newer.
 * WIP limits stop neither: the agent has been at work all the time. Idempotent; unknown tasks are ignored.
 */
export class HoldTaskForRunCommand extends Command<void> {
  constructor(
    readonly task_id: string,
    readonly run_id: string,
    /** What it waits for; null when it goes on. */
    readonly wait: {
      /** The newest of the requests: ids are in the order of time. */
      request_id: string;
      /** For the history, in words for people. */
      reason: string;
    } | null,
  ) {
    super();
  }
}

/**
 * Puts the task of a run into progress whose agent is to be launched now, as a {@link ApplyRunToTaskCommand} of outcome
 * `dispatched` does, and answers with what the agent is to work on. Null where it has to wait: it depends on others that
 * are not completed, or its column is full; it stays where it is then. Both are looked at under the task's lock.
 * @throws DomainError `task.not_found`
 */
export class DispatchTaskCommand extends Command<TaskView | null> {
  constructor(
    readonly task_id: string,
    readonly run_id: string,
  ) {
    super();
  }
}

/** The task is to hear nothing more of its live run: a person has decided. Unknown tasks are ignored. */
export class SettleRunCommand extends Command<void> {
  constructor(
    readonly task_id: string,
    readonly run_id: string,
  ) {
    super();
  }
}

/**
 * Puts a finished task back to TODO for the actor; one that is not finished stays as it is.
 * @throws DomainError `task.not_found`, `board.forbidden`, `task.archived`, `board.wip_limit`
 */
export class ReopenTaskCommand extends Command<{ state: TaskState }> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly reason: string | null,
  ) {
    super();
  }
}
