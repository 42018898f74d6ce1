import { Counters, type Count } from './counters.js';

const MAX_KEYS = 100_000; // some 20 MB; who has more addresses than that is not stopped by counting them

/** Counters of this process. */
export class MemoryCounters extends Counters {
  private readonly counters = new Map<string, { hits: number; ends_at: number }>();

  constructor(
    private readonly maxKeys = MAX_KEYS,
    private readonly now: () => number = () => performance.now(),
  ) {
    super();
  }

  get size(): number {
    return this.counters.size;
  }

  hit(key: string, windowSeconds: number): Promise<Count> {
    const now = this.now();
    const counter = this.live(key, now) ?? { hits: 0, ends_at: now + windowSeconds * 1000 };
    counter.hits++;
    if (!this.counters.has(key)) this.makeRoom(now);
    this.counters.set(key, counter);
    return Promise.resolve({ hits: counter.hits, resets_in: (counter.ends_at - now) / 1000 });
  }

  peek(key: string, windowSeconds: number): Promise<Count> {
    const now = this.now();
    const counter = this.live(key, now);
    if (!counter) return Promise.resolve({ hits: 0, resets_in: windowSeconds });
    return Promise.resolve({ hits: counter.hits, resets_in: (counter.ends_at - now) / 1000 });
  }

  reset(key: string): Promise<void> {
    this.counters.delete(key);
    return Promise.resolve();
  }

  /** Drops what has expired. */
  sweep(): void {
    const now = this.now();
    for (const [key, { ends_at }] of this.counters) if (ends_at <= now) this.counters.delete(key);
  }

  private live(key: string, now: number): { hits: number; ends_at: number } | undefined {
    const counter = this.counters.get(key);
    if (counter && counter.ends_at > now) return counter;
    if (counter) this.counters.delete(key); // so that the new one goes to the end of the order
    return undefined;
  }

  /** A map keeps the order in which keys came: the first is the oldest. */
  private makeRoom(now: number): void {
    if (this.counters.size < this.maxKeys) return;
    for (const [key, { ends_at }] of this.counters) {
      if (ends_at > now && this.counters.size < this.maxKeys) return;
      this.counters.delete(key);
    }
  }
}
