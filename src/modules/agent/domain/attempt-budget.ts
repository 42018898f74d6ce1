import type { AttemptCaps, Cap, Resource } from '../contracts/usage.queries.js';

/** What the row of an attempt counts. Each of them only rises. */
export interface Counted {
  messages: number;
  tokens_in: number;
  tokens_out: number;
  cost_usd: number;
  posted_bytes: number;
}

/** What is known at once, without the row. */
export interface Seen {
  /** By the clock that limits go by. */
  ran_ms: number;
  /** Of the agent's output files. */
  written_bytes: number;
}

const MS = 1000;
/** Prices have at most six digits behind the point; what is less is of adding them up. */
const NEARLY = 5e-7;

/**
 * Holds one attempt to what is left of the budgets. What it uses is counted as it is stored; what is left is said every
 * few seconds, because others use the same budgets.
 */
export class AttemptBudget {
  private readonly counted: Counted = { messages: 0, tokens_in: 0, tokens_out: 0, cost_usd: 0, posted_bytes: 0 };
  /** Messages in the row when its output was first read here, and what was read of it since, stored or not. */
  private base = 0;
  private read = 0;
  private caps: { at_most: number; cap: Cap }[] = [];

  /** What the row says; an older word changes nothing. */
  count(row: Partial<Counted>): void {
    for (const field of Object.keys(this.counted) as (keyof Counted)[])
      this.counted[field] = Math.max(this.counted[field], row[field] ?? 0);
  }

  /** Its output is read on from where this row says. */
  begin(row: Partial<Counted>): void {
    this.count(row);
    this.base = this.counted.messages;
    this.read = 0;
  }

  /** So many messages were read, and are about to be stored. */
  reads(messages: number): void {
    this.read += messages;
  }

  /** What is left from now on; null: nothing is limited. `ranMs`: how long the agent has run, by the same clock as later. */
  hold(held: AttemptCaps | null, ranMs: number): void {
    this.caps = held ? this.capsOf(held, ranMs) : [];
  }

  private capsOf({ used, caps }: AttemptCaps, ranMs: number) {
    const { messages, tokens_in, tokens_out, cost_usd } = used;
    this.count({ messages, tokens_in, tokens_out, cost_usd });
    const base: Record<Resource, number> = {
      wall_clock_seconds: ranMs / MS, // what is left is a duration: the clocks may differ
      output_bytes: used.output_bytes,
      messages,
      tokens: tokens_in + tokens_out,
      cost_usd,
    };
    return caps.map((cap) => ({ cap, at_most: base[cap.resource] + cap.left }));
  }

  /** The first cap that is broken: more was used than there is; of time, as much. */
  exceeded({ ran_ms, written_bytes }: Seen): { message: string; is_time: boolean } | undefined {
    const { messages, tokens_in, tokens_out, cost_usd, posted_bytes } = this.counted;
    const now: Record<Resource, number> = {
      wall_clock_seconds: ran_ms / MS,
      output_bytes: written_bytes + posted_bytes,
      messages: Math.max(messages, this.base + this.read), // both are less than it will be, if anything
      tokens: tokens_in + tokens_out,
      cost_usd: cost_usd - NEARLY,
    };
    const broken = this.caps.find(({ cap: { resource }, at_most }) =>
      resource === 'wall_clock_seconds' ? ran_ms > 0 && now[resource] >= at_most : now[resource] > at_most,
    );
    return broken && { message: broken.cap.message, is_time: broken.cap.resource === 'wall_clock_seconds' };
  }
}
