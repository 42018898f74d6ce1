import type { Actor } from './actor.js';

/** Who a token, a key or a ticket speaks for, and until when. */
export interface Principal {
  actor: Actor;
  /** Seconds since the epoch; {@link NEVER} for a key without an end. */
  expires_at: number;
}

/** The last second of the year 9999, which every date type can hold. */
export const NEVER = 253_402_300_799;
