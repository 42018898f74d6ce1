/** Lets at most `width` pieces of work run at once; the rest waits in order. */
export class Gate {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly width: number) {}

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= this.width) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running++;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }
}

/** A number of things that may be had at once; who gets none does without. */
export class Permits {
  constructor(private left: number) {}

  /** Whether there was one; then it is to be given back. */
  take(): boolean {
    if (this.left === 0) return false;
    this.left--;
    return true;
  }

  give(): void {
    this.left++;
  }
}
