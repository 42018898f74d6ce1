/** When what was stored at a time is due again; it begins with the first time it is asked about. */
export class ReplayClock {
  private begun: { stored: number; now: number } | undefined;

  constructor(
    /** Times as fast as it was. */
    private readonly speed: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Milliseconds until then; 0 or less when it is due. `stored` in ms since 1970. */
  until(stored: number): number {
    this.begun ??= { stored, now: this.now() };
    return (stored - this.begun.stored) / this.speed - (this.now() - this.begun.now);
  }
}
