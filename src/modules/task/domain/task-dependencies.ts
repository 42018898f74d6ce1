import { DomainError } from '../../../common/errors/domain-error.js';
import type { OpenDependency } from '../contracts/task.queries.js';

/** How many tasks one may depend on: more than anybody reads, few enough for every list to carry them. */
export const MAX_DEPENDENCIES = 100;

/** One task waits for another. */
export interface Edge {
  task_id: string;
  depends_on_id: string;
}

/** A text of an error names at most this many tasks, each by the beginning of its title: it stays a sentence. */
const MAX_NAMES = 10;
const MAX_NAME_LENGTH = 60;

/** The shortest way along the edges from one of `starts` to `end`, both included; undefined when there is none. */
export function shortestPath(edges: readonly Edge[], starts: readonly string[], end: string): string[] | undefined {
  const next = Map.groupBy(edges, ({ task_id }) => task_id);
  const cameFrom = new Map<string, string | null>(starts.map((start) => [start, null]));
  // A Map may grow while it is walked through, and keeps its order: that is the breadth-first queue.
  for (const [id] of cameFrom) {
    if (id === end) return wayTo(id, cameFrom);
    for (const { depends_on_id } of next.get(id) ?? [])
      if (!cameFrom.has(depends_on_id)) cameFrom.set(depends_on_id, id);
  }
  return undefined;
}

function wayTo(end: string, cameFrom: ReadonlyMap<string, string | null>): string[] {
  const way: string[] = [];
  for (let id: string | null = end; id !== null; id = cameFrom.get(id) ?? null) way.unshift(id);
  return way;
}

/** `task.dependency_cycle`: each task of the path waits for the next one, and the last is the first. */
export function dependencyCycle(path: readonly { id: string; title: string }[]): DomainError {
  const text = `These tasks would wait for each other: ${namesOf(path, ' → ')}. Leave out one of these dependencies.`;
  return new DomainError('conflict', 'task.dependency_cycle', text, { path: path.map(({ id }) => id) });
}

/** `task.dependencies_open`: the task waits for these. */
export function dependenciesOpen(open: readonly OpenDependency[]): DomainError {
  const text = `The task depends on tasks that are not completed: ${namesOf(open, ', ')}. Complete those first, or remove the dependency.`;
  const waiting_for = open.map(({ depends_on_id, title, state }) => ({ task_id: depends_on_id, title, state }));
  return new DomainError('conflict', 'task.dependencies_open', text, { waiting_for });
}

function namesOf(tasks: readonly { title: string }[], separator: string): string {
  const names = tasks.map(({ title }) => {
    const name = Array.from(title).slice(0, MAX_NAME_LENGTH).join(''); // whole characters, no half of a pair
    return `“${name}${name === title ? '' : '…'}”`;
  });
  if (names.length <= MAX_NAMES) return names.join(separator);
  const [last = ''] = names.splice(-1);
  return [...names.slice(0, MAX_NAMES - 1), '…', last].join(separator);
}
