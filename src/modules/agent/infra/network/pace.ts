import { setTimeout as delay } from 'node:timers/promises';

/** Lets `burst` through at once and `perSecond` from then on; who comes faster waits for a turn, in the order of coming. */
export class Pace {
  private readonly intervalMs: number;
  private lastTurn = -Infinity;

  constructor(
    perSecond: number,
    private readonly burst: number,
  ) {
    this.intervalMs = 1000 / perSecond;
  }

  /** Resolves when it is the caller's turn. @throws AbortError when the signal aborts */
  async turn(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.lastTurn = Math.max(this.lastTurn, now - this.burst * this.intervalMs) + this.intervalMs;
    if (this.lastTurn > now) await delay(this.lastTurn - now, undefined, { signal });
  }
}
