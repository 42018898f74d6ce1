import { TASK_STATES, type TaskState } from '../contracts/task.types.js';

/**
 * What can happen to a task. `move_*` is a person's hand on the card; `run_*` is what its run tells.
 */
export const TASK_TRIGGERS = [
  'move_to_todo',
  'move_to_in_progress',
  'move_to_blocked',
  'move_to_completed',
  'move_to_failed',
  'move_to_cancelled',
  'run_dispatched',
  'run_waits',
  'run_goes_on',
  'run_completed',
  'run_failed',
  'run_cancelled',
] as const;
export type TaskTrigger = (typeof TASK_TRIGGERS)[number];

const RUN_ENDS = { run_completed: 'COMPLETED', run_failed: 'FAILED', run_cancelled: 'CANCELLED' } as const;
const REOPEN = { move_to_todo: 'TODO' } as const;

/** State × trigger → state. What is not listed is not allowed. A finished task is only ever reopened. */
export const TASK_TRANSITIONS: Readonly<Record<TaskState, Partial<Record<TaskTrigger, TaskState>>>> = {
  TODO: { move_to_in_progress: 'IN_PROGRESS', run_dispatched: 'IN_PROGRESS', ...RUN_ENDS },
  IN_PROGRESS: {
    move_to_blocked: 'BLOCKED',
    move_to_completed: 'COMPLETED',
    move_to_failed: 'FAILED',
    move_to_cancelled: 'CANCELLED',
    run_dispatched: 'IN_PROGRESS',
    run_waits: 'BLOCKED',
    ...RUN_ENDS,
  },
  BLOCKED: {
    move_to_in_progress: 'IN_PROGRESS',
    run_dispatched: 'IN_PROGRESS',
    run_goes_on: 'IN_PROGRESS',
    ...RUN_ENDS,
  },
  COMPLETED: REOPEN,
  FAILED: REOPEN,
  CANCELLED: REOPEN,
};

/** The state after `trigger`, or undefined where the trigger is not allowed. */
export function nextTaskState(state: TaskState, trigger: TaskTrigger): TaskState | undefined {
  return TASK_TRANSITIONS[state][trigger];
}

/** The trigger of a person who moves the card to `target`. */
export function moveTo(target: TaskState): TaskTrigger {
  return `move_to_${target.toLowerCase()}` as TaskTrigger;
}

/** Where a person may move a card that is in `state`. */
export function allowedMoves(state: TaskState): TaskState[] {
  return TASK_STATES.filter((target) => nextTaskState(state, moveTo(target)) !== undefined);
}

export function isTerminal(state: TaskState): boolean {
  return state === 'COMPLETED' || state === 'FAILED' || state === 'CANCELLED';
}
