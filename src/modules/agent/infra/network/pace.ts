import { setTimeout as delay } from 'node:timers/promises';

/** So many are waiting for their turns that nobody else may. */
export class PaceFull extends Error {
  override readonly name = 'PaceFull';
}

/**
 * Lets `burst` through at once and `perSecond` from then on; who comes faster waits for a turn, in the order of
 * coming, but no more of them than `waiting`.
 */
export class Pace {
  private readonly intervalMs: number;
  private lastTurn = -Infinity;

  constructor(
    perSecond: number,
    private readonly burst: number,
    private readonly waiting = Infinity,
  ) {
    this.intervalMs = 1000 / perSecond;
  }

  /** Resolves when it is the caller's turn. @throws AbortError when the signal aborts; PaceFull */
  async turn(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    if (this.lastTurn - now >= this.waiting * this.intervalMs) throw new PaceFull();
    this.lastTurn = Math.max(this.lastTurn, now - this.burst * this.intervalMs) + this.intervalMs;
    if (this.lastTurn > now) await delay(this.lastTurn - now, undefined, { signal });
  }
}
