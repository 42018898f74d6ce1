const LOOK_MS = 250; // how late it may be noticed
const watched = new Set<StallWatch>(); // of all readers: a timer for each would be set and cleared with each frame
let ticker: NodeJS.Timeout | undefined;

/** Notices a transport that has been clogged for too long: it belongs to somebody who does not read. */
export class StallWatch {
  private since: number | undefined;

  constructor(
    private readonly limitMs: number,
    private readonly onStall: () => void,
  ) {}

  /** To be told after each attempt to send. */
  observe(writable: boolean): void {
    if (writable) {
      this.since = undefined;
    } else if (this.since === undefined) {
      this.since = performance.now();
      watched.add(this); // stays until the next look, however often it is clogged and free until then
      ticker ??= setInterval(lookAround, LOOK_MS).unref();
    }
  }

  stop(): void {
    this.since = undefined;
  }

  /** Whether there is still something to watch. */
  look(now: number): boolean {
    if (this.since === undefined) return false;
    if (now - this.since < this.limitMs) return true;
    this.since = undefined;
    this.onStall();
    return false;
  }
}

function lookAround(): void {
  const now = performance.now();
  for (const watch of watched) if (!watch.look(now)) watched.delete(watch);
  if (watched.size > 0) return;
  clearInterval(ticker);
  ticker = undefined;
}
