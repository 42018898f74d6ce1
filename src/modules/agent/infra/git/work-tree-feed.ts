import { once } from 'node:events';
import { PassThrough } from 'node:stream';

const BATCH_BYTES = 256 * 1024; // fewer, larger writes: most of what is written are lines of a hundred bytes

/** Bytes for a program's input: gathered, and no faster than it reads. */
export class Feed {
  readonly stream = new PassThrough({ highWaterMark: BATCH_BYTES });
  private parts: Buffer[] = [];
  private bytes = 0;

  constructor() {
    this.stream.on('error', () => undefined); // the program has ended early: its exit code tells
  }

  async write(part: Buffer | string): Promise<void> {
    const buffer = typeof part === 'string' ? Buffer.from(part) : part;
    this.parts.push(buffer);
    this.bytes += buffer.length;
    if (this.bytes >= BATCH_BYTES) await this.flush();
  }

  async end(): Promise<void> {
    await this.flush();
    this.stream.end();
  }

  /** The program must not take what it has got for everything. */
  cancel(): void {
    this.stream.destroy();
  }

  private async flush(): Promise<void> {
    if (this.stream.destroyed) throw new Error('git has stopped reading');
    const all = Buffer.concat(this.parts);
    this.parts = [];
    this.bytes = 0;
    if (all.length === 0 || this.stream.write(all)) return;
    const over = new AbortController();
    try {
      const { signal } = over;
      await Promise.race([once(this.stream, 'drain', { signal }), once(this.stream, 'close', { signal })]);
    } finally {
      over.abort();
    }
  }
}
