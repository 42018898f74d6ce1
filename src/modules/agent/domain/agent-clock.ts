/** When an agent began and how long it was paused; times by the server's clock. */
export interface AgentTimes {
  started_at?: Date | null;
  /** Since when it is paused; null while it is not. */
  paused_at?: Date | null;
  /** Milliseconds of all pauses but the present one. */
  paused_ms: number;
}

/**
 * Measures what limits go by: time that the agent has run, in milliseconds. It stands while the agent is paused, and
 * follows from the row alone, so it goes on rightly after a restart.
 */
export class AgentClock {
  private times: AgentTimes = { paused_ms: 0 };
  /** When it has last written, as time that it had run by then. */
  private lastActivity = 0;

  /** Of an agent that has written nothing yet, as far as is known. */
  constructor(times: AgentTimes) {
    this.set(times);
  }

  /** The agent was paused, or goes on. */
  set({ started_at, paused_at, paused_ms }: AgentTimes): void {
    this.times = { started_at, paused_at, paused_ms };
  }

  /** It stands since `at`, unless it has stood for longer. */
  stand(at: Date): void {
    this.times = { ...this.times, paused_at: this.times.paused_at ?? at };
  }

  get paused(): boolean {
    return this.times.paused_at != null;
  }

  /** How long it has run by `now`, without its pauses. */
  ran(now: number): number {
    const { started_at, paused_at, paused_ms } = this.times;
    if (!started_at) return 0;
    return Math.max(0, this.standing(now, paused_at) - started_at.getTime() - paused_ms);
  }

  /** The agent has written something. */
  active(now: number): void {
    this.lastActivity = this.ran(now);
  }

  /** The agent wrote at `at`, and there was no pause between then and the present one, if it is paused. */
  wasActive(at: number, now: number): void {
    const ago = Math.max(0, this.standing(now, this.times.paused_at) - at);
    this.lastActivity = Math.max(this.lastActivity, this.ran(now) - ago);
  }

  /** How long it has written nothing. */
  silent(now: number): number {
    return Math.max(0, this.ran(now) - this.lastActivity);
  }

  private standing(now: number, paused_at: Date | null | undefined): number {
    return paused_at ? Math.min(now, paused_at.getTime()) : now;
  }
}
