/** How long somebody may stand before a {@link Gate}, and how many; without it everybody waits for as long as it takes. */
export interface GateQueue {
  waiting: number;
  /** Milliseconds. */
  waitMs: number;
  /** What those are told who can't be let in. */
  refusal: () => Error;
}

/** Lets at most `width` pieces of work run at once; the rest waits in order. */
export class Gate {
  private running = 0;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly width: number,
    private readonly queue?: GateQueue,
  ) {}

  /** @throws what `work` throws, and the queue's refusal */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= this.width) await this.turn();
    else this.running++;
    try {
      return await work();
    } finally {
      const [next] = this.waiting;
      if (next) next();
      else this.running--;
    }
  }

  /** Resolves when the place of one who has left is passed on. */
  private async turn(): Promise<void> {
    const { queue, waiting } = this;
    if (queue && waiting.size >= queue.waiting) throw queue.refusal();
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        clearTimeout(timer);
        waiting.delete(enter);
        resolve();
      };
      const giveUp = (): void => {
        waiting.delete(enter);
        reject(queue!.refusal());
      };
      const timer = queue && setTimeout(giveUp, queue.waitMs).unref();
      waiting.add(enter);
    });
  }
}
