import type { ReplayPage } from '../../agent/contracts/agent.queries.js';

/**
 * Where a replay goes on, if messages of the run after `position` were removed before they could be read; else null.
 * `last` is the last `seq` of the run as far as is known. Runs of a task follow one another: what the first kept message
 * of the task is of, is cut, and what lies after it is whole. A run that begins exactly there counts as cut.
 */
export function goesOnAt({ messages, kept_from, last_seq }: ReplayPage, position: number, last: number): number | null {
  const [first] = messages;
  if (kept_from <= position + 1) return null;
  if (first) return first.seq > position + 1 && first.seq <= kept_from ? first.seq : null;
  const wasAllThereWas = last_seq === 0 && last === 0;
  return position < last || wasAllThereWas ? kept_from : null;
}
