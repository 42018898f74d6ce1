/** A counter at one moment. */
export interface Count {
  hits: number;
  /** Seconds until the counter starts again from nothing. */
  resets_in: number;
}

/** Where hits are counted: in windows that begin with their first hit. */
export abstract class Counters {
  /** Counts one hit. */
  abstract hit(key: string, windowSeconds: number): Promise<Count>;
  /** The same without counting. */
  abstract peek(key: string, windowSeconds: number): Promise<Count>;
  /** Forgets all hits. */
  abstract reset(key: string): Promise<void>;
}
