/** What an estimate goes by. */
export const ESTIMATE_BASES = ['progress', 'history'] as const;
export type EstimateBasis = (typeof ESTIMATE_BASES)[number];

/** How a run goes, as far as it is known. Times are milliseconds. */
export interface RunCourse {
  /** Whether its agent is at work: not waiting, starting, paused, stopping or at an end. */
  running: boolean;
  /** Percent that the agent has last told, or null. */
  progress: number | null;
  /** Percent gained and time without pauses since it first told its progress; null where it has not. */
  since_first: { gained: number; elapsed_ms: number } | null;
  /** How long it has run, without pauses. */
  ran_ms: number;
  /** How long such runs take as a rule; null where too few have been completed. */
  usual_ms: number | null;
}

export interface CompletionEstimate {
  /** From now on; more than 0. */
  left_ms: number;
  basis: EstimateBasis;
}

/** With less than this, one step of the agent's would decide: a percent, and five seconds. */
const MIN_GAIN = 1;
const MIN_ELAPSED_MS = 5_000;

/**
 * How long the run will take yet, or null where nothing sound can be said. What is left is taken to go as fast as what
 * was gained so far; as the time since goes on to count, the estimate grows while the agent tells nothing. Before there
 * is enough of that, the run is taken to be one as most, until it has taken longer.
 */
export function estimateCompletion(course: RunCourse): CompletionEstimate | null {
  const { running, progress, since_first, ran_ms, usual_ms } = course;
  if (!running) return null;
  // It has done all that it meant to tell of: what it does yet is not known.
  if (progress !== null && progress >= 100) return null;
  if (progress !== null && since_first && since_first.gained >= MIN_GAIN && since_first.elapsed_ms >= MIN_ELAPSED_MS) {
    return { left_ms: ((100 - progress) * since_first.elapsed_ms) / since_first.gained, basis: 'progress' };
  }
  if (usual_ms !== null && ran_ms < usual_ms) return { left_ms: usual_ms - ran_ms, basis: 'history' };
  return null;
}
