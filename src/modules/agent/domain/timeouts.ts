import { AttemptFailure } from './outcome.js';

/** Seconds after which an agent is ended. */
export interface Timeouts {
  inactivity_timeout_seconds: number;
  wall_clock_timeout_seconds: number;
}
type Given = { [K in keyof Timeouts]?: number | null };

/** What holds: what the task says, else the agent type, else the server's setting. */
export function effectiveTimeouts(task: Given, type: Given, server: Timeouts): Timeouts {
  const of = (field: keyof Timeouts): number => task[field] ?? type[field] ?? server[field];
  return {
    inactivity_timeout_seconds: of('inactivity_timeout_seconds'),
    wall_clock_timeout_seconds: of('wall_clock_timeout_seconds'),
  };
}

/** The agent wrote nothing for too long. */
export function inactive(seconds: number, task: Given): AttemptFailure {
  const where = whereToChange('inactivity_timeout_seconds', 'KANDEV_INACTIVITY_TIMEOUT_SECONDS', seconds, task);
  return new AttemptFailure('agent.inactive', `The agent wrote nothing for ${seconds} s, ${where}`);
}

/** The agent ran for too long. */
export function outOfTime(seconds: number, task: Given): AttemptFailure {
  const where = whereToChange('wall_clock_timeout_seconds', 'KANDEV_WALL_CLOCK_TIMEOUT_SECONDS', seconds, task);
  return new AttemptFailure('agent.timeout', `The agent did not finish within ${seconds} s, ${where}`);
}

function whereToChange(field: keyof Timeouts, setting: string, seconds: number, task: Given): string {
  if (task[field] === seconds) return `the limit that its task sets. Raise ${field} of the task.`;
  return `the limit of its agent type, or of the server where the type sets none. Raise ${field} of the task or of the agent type, or ${setting}.`;
}
