import type { OpenDependency } from '../contracts/task.queries.js';
import type { TaskState } from '../contracts/task.types.js';
import type { Changes } from '../domain/changes.js';
import type { Column, OverLimit } from '../domain/column.js';
import { dependenciesOpen } from '../domain/task-dependencies.js';
import { allowedMoves, moveTo } from '../domain/task-state.js';
import type { Task } from '../domain/task.entity.js';
import { requireStartable, type AgentTypeCheck } from './agent-type-check.js';

/** What decides on a move besides the card. */
export interface Circumstances {
  /** What it depends on and is not completed. */
  open: readonly OpenDependency[];
  agent_types: AgentTypeCheck;
  /** Where to, locked. */
  column: Column;
  /** Also where that is full. */
  force: boolean;
}

/**
 * Moves a locked card for a person; says what became different, and how full its new column was if that was full.
 * @throws DomainError `task.archived`, `task.illegal_transition`, `task.dependencies_open`, `board.wip_limit`, or why
 *   the agent that this would start can't be; the card is then as it was
 */
export function moveByHand(
  task: Task,
  state: TaskState,
  { open, agent_types, column, force }: Circumstances,
  now: Date,
): { changes: Changes; over: OverLimit | null } {
  task.requireActive();
  const begins = state === 'IN_PROGRESS' && allowedMoves(task.state).includes(state);
  if (begins && open.length > 0) throw dependenciesOpen(open);
  if (begins && task.state === 'TODO' && task.agent_type) requireStartable(agent_types, task.agent_type);
  if (!force && allowedMoves(task.state).includes(state)) column.enter('force'); // else it is refused below
  const changes = { state: task.apply(moveTo(state), now) };
  return { changes, over: force ? column.enterByForce() : null };
}
