/** How long a stream waits before it connects again. Milliseconds. */
export interface ReconnectOptions {
  /** The longest first wait; each failure doubles it. 500. */
  minMs?: number;
  /** The longest wait of all. 30,000. */
  maxMs?: number;
  /** A connection that has lasted so long was a good one: the waits begin anew. 10,000. */
  stableMs?: number;
}

/** @internal Exponential, with full jitter: those who have lost the same server do not come back in one moment. */
export class BackOff {
  private failures = 0;

  constructor(
    private readonly minMs: number,
    private readonly maxMs: number,
  ) {}

  /** The next wait; at least what the server has asked for. */
  next(atLeastMs = 0): number {
    const most = Math.min(this.maxMs, this.minMs * 2 ** this.failures++);
    return atLeastMs + Math.random() * most;
  }

  reset(): void {
    this.failures = 0;
  }
}

/** @internal Resolves after the time, or at once when the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
