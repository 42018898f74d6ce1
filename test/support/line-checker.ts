import type { Damage } from './damage.js';
import { fillerOf, hashOf, lineOf, type Plan } from './numbered-agent.js';

/** Lines up to this long are kept to be compared again: fifty clients get the same ones. */
const CACHED_LENGTH = 400;

/** The lines that a task's agent writes, made when they are first asked for. */
export class ExpectedLines {
  private readonly cache: string[] = [];

  constructor(
    readonly plan: Plan,
    readonly task_id: string,
  ) {}

  line(n: number): string {
    const known = this.cache[n];
    if (known !== undefined) return known;
    const line = lineOf(this.plan, this.task_id, n);
    if (line.length <= CACHED_LENGTH) this.cache[n] = line;
    return line;
  }
}

/** The lines alone: what the log messages say. */
export class LineChecker {
  highest = 0;
  /** What came last, where that was no line of ours. */
  private tail: string | undefined;
  private readonly seen = new Set<number>();
  private pieces: string[] | undefined;
  private fillers = 0;
  private fillersOf = 0;

  constructor(
    private readonly expected: ExpectedLines,
    private readonly damage: Damage,
  ) {}

  /** `data` of a log message; the pieces of a long line are put together again. */
  take(data: Record<string, unknown>): void {
    const text = String(data['message']);
    const { continues, continued } = (data['metadata'] ?? {}) as { continues?: boolean; continued?: boolean };
    if (Boolean(continued) !== (this.pieces !== undefined)) this.damage.torn++;
    if (!continued) this.pieces = undefined;
    if (continues) {
      (this.pieces ??= []).push(text);
      return;
    }
    const whole = this.pieces ? this.pieces.join('') + text : text;
    this.pieces = undefined;
    this.line(whole);
  }

  finish(written: number, inMidLine: boolean): void {
    if (this.pieces) this.damage.torn++;
    this.pieces = undefined;
    if (inMidLine && this.tail !== undefined && this.expected.line(this.highest + 1).startsWith(this.tail))
      this.damage.torn--;
    this.tail = undefined;
    this.closeFillers(this.seen.has(written));
    for (let n = 1; n <= written; n++) if (!this.seen.has(n)) this.damage.lost++;
    for (const n of this.seen) if (n > written) this.damage.unexpected++;
  }

  private line(text: string): void {
    const n = Number(/^(\d{1,15}) /.exec(text)?.[1] ?? 0);
    if (n === 0 || text !== this.expected.line(n)) {
      this.other(text);
      return;
    }
    this.tail = undefined;
    if (this.seen.has(n)) {
      this.damage.doubled++;
      return;
    }
    if (n < this.highest) this.damage.reordered++;
    this.closeFillers(n === this.highest + 1);
    this.seen.add(n);
    this.highest = Math.max(this.highest, n);
    this.fillersOf = n;
  }

  private other(text: string): void {
    if (text === this.filler?.text) this.fillers++;
    else if (this.isOfAnother(text)) this.damage.unexpected++;
    else {
      this.damage.torn++;
      this.tail = text;
    }
  }

  /** Whole, and of another task or seed. */
  private isOfAnother(text: string): boolean {
    const cut = text.lastIndexOf(' ');
    return cut > 0 && hashOf(text.slice(0, cut)) === text.slice(cut + 1);
  }

  private closeFillers(isNext: boolean): void {
    const wanted = this.filler?.times ?? 0;
    if (isNext && this.fillers < wanted) this.damage.lost += wanted - this.fillers;
    if (this.fillers > wanted) this.damage.doubled += this.fillers - wanted;
    this.fillers = 0;
  }

  private get filler(): { text: string; times: number } | undefined {
    return this.fillersOf > 0 ? fillerOf(this.expected.plan, this.fillersOf) : undefined;
  }
}
