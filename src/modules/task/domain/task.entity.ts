import { defineEntity, p } from '@mikro-orm/postgresql';
import type { RetryPolicy } from '../../../common/retries/retry-policy.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import type { RunOutcome } from '../contracts/task.commands.js';
import type { TaskState } from '../contracts/task.types.js';
import { assignChanges, type Changes } from './changes.js';
import { allowedMoves, isTerminal, nextTaskState, type TaskTrigger } from './task-state.js';

export const TaskSchema = defineEntity({
  name: 'Task',
  tableName: 'tasks',
  properties: {
    id: p.uuid().primary().defaultRaw('gen_random_uuid()'),
    board_id: p.uuid(),
    title: p.string().length(500),
    description: p.text(),
    state: p.string().length(50).$type<TaskState>().default('TODO'),
    /** 0 to 10, more is sooner. */
    priority: p.integer().default(0),
    agent_type: p.string().length(100).nullable(),
    repository_url: p.string().length(500).nullable(),
    branch: p.string().length(255).nullable(),
    assigned_agent_id: p.uuid().nullable(),
    /** Seconds; its agent type's where absent. */
    inactivity_timeout_seconds: p.integer().nullable(),
    wall_clock_timeout_seconds: p.integer().nullable(),
    /** When its failed attempts are tried again; as its agent type says where absent. */
    retry_policy: p.json<RetryPolicy>().nullable(),
    metadata: p.json<Record<string, unknown>>().defaultRaw(`'{}'`),
    /** The last run that this task has heard of: it puts the card into progress once, so that a person may move it meanwhile. */
    dispatched_run_id: p.uuid().nullable(),
    /** The last run whose end this task has taken over: its end counts once, however often it is told. */
    settled_run_id: p.uuid().nullable(),
    /** The run that has blocked it, as somebody has to answer; null where nobody or a person has. */
    held_by_run_id: p.uuid().nullable(),
    /** The newest request that the card was blocked for; ids are in the order of time. */
    held_request_id: p.uuid().nullable(),
    created_by: p.uuid(),
    version: p.integer().version().default(1),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
    started_at: p.datetime(3).nullable(),
    completed_at: p.datetime(3).nullable(),
    /** Since when lists hide it; null while they show it. */
    archived_at: p.datetime(3).nullable(),
  },
  checks: [
    {
      name: 'valid_state',
      expression: "state in ('TODO', 'IN_PROGRESS', 'BLOCKED', 'COMPLETED', 'FAILED', 'CANCELLED')",
    },
    { name: 'tasks_priority_check', expression: 'priority >= 0 and priority <= 10' },
    { name: 'tasks_inactivity_timeout_check', expression: 'inactivity_timeout_seconds > 0' },
    { name: 'tasks_wall_clock_timeout_check', expression: 'wall_clock_timeout_seconds > 0' },
  ],
});

/** A card on a board. */
export class Task extends TaskSchema.class {
  /** Lets pass what is not in the archive. @throws DomainError `task.archived` (conflict) */
  requireActive(): void {
    if (!this.archived_at) return;
    const text = 'The task is archived. Unarchive it first: nothing of an archived task changes.';
    throw new DomainError('conflict', 'task.archived', text);
  }

  /** Makes a change outside of this row count as one of the task: it gets a new version. */
  touch(now: Date): void {
    // Later than it was in any case: a second change within a millisecond is one, too.
    this.updated_at = new Date(Math.max(now.getTime(), this.updated_at.getTime() + 1));
  }

  /** Puts the card into the archive, or takes it out; says what became different: nothing, where it is there already. */
  setArchived(archived: boolean, now: Date): Changes {
    if (archived === Boolean(this.archived_at)) return {};
    return assignChanges<Partial<Task>>(this, { archived_at: archived ? now : null });
  }

  /**
   * Moves the card.
   * @throws DomainError `task.illegal_transition` (conflict), with `allowed` targets
   */
  apply(trigger: TaskTrigger, now: Date): { from: TaskState; to: TaskState } {
    const from = this.state;
    const to = nextTaskState(from, trigger);
    if (!to) {
      const allowed = allowedMoves(from);
      throw new DomainError(
        'conflict',
        'task.illegal_transition',
        `A task in ${from} can't be moved like this. Allowed from here: ${allowed.join(', ')}.`,
        { state: from, allowed },
      );
    }
    this.state = to;
    if (to === 'IN_PROGRESS') this.started_at ??= now;
    this.completed_at = isTerminal(to) ? now : null;
    this.held_by_run_id = null; // whoever moves it goes by it, or has decided otherwise
    if (to === 'TODO') this.forgetRun();
    return { from, to };
  }

  /** A new beginning: what the run before has still to tell, such as its end while it is being stopped, is of no interest. */
  private forgetRun(): void {
    this.started_at = null;
    this.settled_run_id = this.dispatched_run_id;
  }

  /**
   * Follows what its run tells, and says what became different. For a task that is not finished. The last instance
   * that worked on it stays its assigned one.
   */
  followRun(run_id: string, outcome: RunOutcome, agent_id: string | null, now: Date): Changes {
    const changes = agent_id === null ? {} : assignChanges<Partial<Task>>(this, { assigned_agent_id: agent_id });
    if (outcome === 'dispatched' && this.dispatched_run_id === run_id) return changes;
    const moved = this.apply(`run_${outcome}`, now);
    if (moved.from !== moved.to) changes['state'] = moved;
    this.dispatched_run_id = run_id;
    if (outcome !== 'dispatched') this.settled_run_id = run_id;
    return changes;
  }

  /**
   * While its run waits for a person the card is blocked: of a card in progress, and only of the run that it follows.
   * What a person has blocked stays so, and what a person has moved meanwhile is not moved back; nor is it blocked again
   * before the run asks something new. `request_id` is the newest of those that wait, null where none does. Says what
   * became different.
   */
  hold(run_id: string, request_id: string | null, now: Date): Changes {
    if (this.dispatched_run_id !== run_id || this.settled_run_id === run_id) return {};
    if (request_id === null) return this.held_by_run_id === run_id ? { state: this.apply('run_goes_on', now) } : {};
    if (this.held_request_id && request_id <= this.held_request_id) return {};
    if (this.state !== 'IN_PROGRESS') return {};
    this.held_request_id = request_id;
    const state = this.apply('run_waits', now);
    this.held_by_run_id = run_id;
    return { state };
  }
}
TaskSchema.setClass(Task);
