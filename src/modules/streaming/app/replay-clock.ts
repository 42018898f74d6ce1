import type { TimedMessage } from '../../agent/contracts/agent.queries.js';
import type { BufferBounds } from '../domain/delivery-buffer.js';

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

  /** How many of the messages, of which the first is due, go in one frame: those that are due by now, within bounds. */
  together(messages: readonly TimedMessage[], { frameMessages, frameSize }: BufferBounds): number {
    let size = 0;
    const end = messages.findIndex(({ stored_at_ms, json }, index) => {
      size += json.length;
      return index > 0 && (index >= frameMessages || size > frameSize || this.until(stored_at_ms) > 0);
    });
    return end === -1 ? messages.length : end;
  }
}
