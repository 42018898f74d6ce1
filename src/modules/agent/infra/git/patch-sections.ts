import { Writable } from 'node:stream';
import { callbackify } from 'node:util';

const START = Buffer.from('diff --git ');
const NEWLINE = 0x0a;

/**
 * Takes a unified diff and tells of each piece which file's it is, by its number. A line of content begins with a
 * blank, a sign or a backslash: none looks like the head of a file.
 */
export class PatchSections extends Writable {
  private index = -1;
  private pending: Buffer = Buffer.alloc(0);

  constructor(private readonly take: (index: number, part: Buffer) => Promise<void> | void) {
    super();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    whenDone(() => this.consume(Buffer.concat([this.pending, chunk])), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    const rest = this.pending;
    this.pending = Buffer.alloc(0);
    whenDone(() => (rest.length > 0 ? this.line(rest) : undefined), done);
  }

  /** Whole lines only; the rest waits for what comes next. */
  private async consume(data: Buffer): Promise<void> {
    const whole = data.lastIndexOf(NEWLINE) + 1;
    let begin = 0;
    for (let at = 0; at < whole; at = data.indexOf(NEWLINE, at) + 1) {
      if (!data.subarray(at, at + START.length).equals(START)) continue;
      if (at > begin) await this.take(this.index, data.subarray(begin, at));
      begin = at;
      this.index++;
    }
    if (whole > begin) await this.take(this.index, data.subarray(begin, whole));
    this.pending = data.subarray(whole);
  }

  private line(data: Buffer): Promise<void> | void {
    if (data.subarray(0, START.length).equals(START)) this.index++;
    return this.take(this.index, data);
  }
}

/** Streams of Node want to be called back. */
const whenDone = callbackify(async (work: () => Promise<void> | void) => work());
