export type Paint = (colour: string | undefined, text: string) => string;

/** What the last line tells of. */
export interface Now {
  /** Percent; null while the agent has told none. */
  progress: number | null;
  operation: string | null;
  estimated_completion: string | null;
  run_state: string | null;
  connection: string;
  /** When the next try to connect is, and what time it is: milliseconds since the epoch. */
  retry_at: number;
  time: number;
}

export function painter(on: boolean): Paint;
export function messageLines(message: { type: string; timestamp: string; data: unknown }, paint: Paint): string[];
export function statusLine(now: Now, columns: number, paint: Paint): string;
