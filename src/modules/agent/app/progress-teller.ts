import { WakeUp } from '../../../common/bus/wake-up.js';
import type { ProgressDetails } from '../domain/container-runtime.js';

const TWICE_A_SECOND_MS = 500; // as fast as anybody reads; a pull alone would tell ten times a second for each layer

interface Told {
  message: string;
  details: ProgressDetails;
}

/**
 * Tells of preparation in order, one at a time. Words are all told; of progress that comes faster than people read
 * only the newest is. Telling is never what a preparation fails for.
 */
export class ProgressTeller {
  private readonly bell = new WakeUp();
  private readonly waiting: Told[] = [];
  private telling: Promise<void> | undefined;
  private isLast = false;

  constructor(private readonly tell: (message: string, details: ProgressDetails) => Promise<void>) {}

  /** Returns at once. */
  report(message: string, details: ProgressDetails = {}): void {
    const last = this.waiting.at(-1);
    if (last && isProgress(last.details) && isProgress(details)) this.waiting.pop();
    this.waiting.push({ message, details });
    this.telling ??= this.tellAll().finally(() => (this.telling = undefined));
  }

  /** Resolves when all of it is told. */
  async flush(): Promise<void> {
    this.isLast = true;
    this.bell.ring();
    while (this.telling) await this.telling;
    this.isLast = false;
  }

  private async tellAll(): Promise<void> {
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      await this.tell(next.message, next.details).catch(() => undefined);
      if (isProgress(next.details) && !this.isLast) await this.bell.wait(TWICE_A_SECOND_MS);
    }
  }
}

function isProgress(details: ProgressDetails): boolean {
  return Object.keys(details).length > 0;
}
