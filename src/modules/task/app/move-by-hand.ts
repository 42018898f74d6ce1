import type { OpenDependency } from '../contracts/task.queries.js';
import type { TaskState } from '../contracts/task.types.js';
import type { Changes } from '../domain/changes.js';
import { dependenciesOpen } from '../domain/task-dependencies.js';
import { allowedMoves, moveTo } from '../domain/task-state.js';
import type { Task } from '../domain/task.entity.js';
import { requireStartable, type AgentTypeCheck } from './agent-type-check.js';

/**
 * Moves a locked card for a person, and says what became different. `open` is what it depends on and is not completed.
 * @throws DomainError `task.archived`, `task.illegal_transition`, `task.dependencies_open`, or why the agent that this
 *   would start can't be; the card is then as it was
 */
export function moveByHand(
  task: Task,
  state: TaskState,
  open: readonly OpenDependency[],
  agent_types: AgentTypeCheck,
  now: Date,
): Changes {
  task.requireActive();
  const begins = state === 'IN_PROGRESS' && allowedMoves(task.state).includes(state);
  if (begins && open.length > 0) throw dependenciesOpen(open);
  if (begins && task.state === 'TODO' && task.agent_type) requireStartable(agent_types, task.agent_type);
  return { state: task.apply(moveTo(state), now) };
}
