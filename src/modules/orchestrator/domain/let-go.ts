/** A queued run on a board that limits how many tasks are in progress. */
export interface Candidate {
  id: string;
  waits_for_tasks: boolean;
  /** Its task depends on others that are not completed. */
  has_open: boolean;
  /** Its dispatch moves its task into the limited column. */
  wants_place: boolean;
  /** Not to be claimed before a certain time. */
  parked: boolean;
  /** It was let go a while ago, and nobody has claimed it: something else holds it up. */
  passed_by: boolean;
}

/**
 * Who waits for other tasks and who does not, in the order of the queue: as many are let go as there are places. Who
 * can't take a place now keeps it from nobody: the next one is let go as well, and the dispatch decides in the end.
 */
export function letGo(runs: readonly Candidate[], places: number): { waits: Map<string, boolean>; free: number } {
  const waits = new Map<string, boolean>();
  let free = places;
  for (const run of runs) {
    const held_back = run.has_open || (run.wants_place && free <= 0);
    waits.set(run.id, held_back);
    if (!held_back && run.wants_place && !run.parked && !run.passed_by) free -= 1;
  }
  return { waits, free };
}
