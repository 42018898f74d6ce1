import { createHash } from 'node:crypto';
import { NO_DAMAGE, type Damage } from './damage.js';
import { LineChecker, type ExpectedLines } from './line-checker.js';

/** A message as it is stored, and as every client gets it. */
export interface CheckedMessage {
  seq: number;
  type: string;
  task_id: string;
  data: Record<string, unknown>;
}

/**
 * Compares the messages of one stream, as they come, with what was written: their numbers (`seq`) with the row from
 * `after` + 1 on, their lines with those of the plan. One checker for what is stored and for what each client gets.
 */
export class StreamChecker {
  /** The highest `seq` so far. */
  head: number;
  messages = 0;
  private readonly damage: Damage = { ...NO_DAMAGE };
  private readonly missing = new Set<number>();
  private readonly lines: LineChecker;
  private readonly hash = createHash('sha1');

  constructor(
    private readonly expected: ExpectedLines,
    after = 0,
  ) {
    this.head = after;
    this.lines = new LineChecker(expected, this.damage);
  }

  take({ seq, type, task_id, data }: CheckedMessage): void {
    this.messages++;
    if (task_id !== this.expected.task_id || !Number.isSafeInteger(seq) || seq < 1) {
      this.damage.unexpected++;
      return;
    }
    if (seq <= this.head) {
      if (this.missing.delete(seq)) this.damage.reordered++;
      else this.damage.doubled++;
      return;
    }
    for (let gap = this.head + 1; gap < seq; gap++) this.missing.add(gap);
    this.head = seq;
    this.hash.update(`${seq} ${type} ${JSON.stringify(data)}\n`);
    if (type === 'log') this.lines.take(data);
  }

  /** Something came that is no message of the stream, such as a jump of the position. */
  oddity(): void {
    this.damage.unexpected++;
  }

  /** Over all messages so far; the same for two streams of the same messages. */
  digest(): string {
    return this.hash.copy().digest('hex');
  }

  /** The highest number of a line that came whole. */
  get highestLine(): number {
    return this.lines.highest;
  }

  /**
   * The verdict, when the agent has written `written` numbered lines and the stream has `head` messages. An agent that
   * was ended `inMidLine` may leave the beginning of one more.
   */
  finish(written: number, head: number, inMidLine = false): Damage {
    this.lines.finish(written, inMidLine);
    for (let gap = this.head + 1; gap <= head; gap++) this.missing.add(gap);
    const damage = { ...this.damage };
    // A message that is missing is lost once, whether its line is counted as well or not.
    damage.lost = Math.max(damage.lost, this.missing.size);
    if (this.head > head) damage.unexpected += this.head - head;
    return damage;
  }
}
