import { Writable } from 'node:stream';

const NEWLINE = 0x0a;
const MAX_HEAD = 200; // name, type and size

/** Takes what `git cat-file --batch` writes: for each object asked for its head, then its bytes as they come. */
export class BatchObjects extends Writable {
  private left = -1;
  private ends = false;
  private head: Buffer = Buffer.alloc(0);

  constructor(
    private readonly sink: {
      /** The next object asked for. @throws when it is missing */
      begin(): void;
      part(bytes: Buffer): void;
      end(): void;
    },
  ) {
    super();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      this.consume(chunk);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  private consume(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.ends) {
        this.ends = false; // the newline behind the bytes
        at++;
      } else if (this.left < 0) {
        const newline = chunk.indexOf(NEWLINE, at);
        this.head = Buffer.concat([this.head, chunk.subarray(at, newline < 0 ? undefined : newline)]);
        if (newline < 0) {
          if (this.head.length > MAX_HEAD) throw new Error('git answers something else than an object');
          return;
        }
        at = newline + 1;
        this.start(this.head.toString('latin1'));
        this.head = Buffer.alloc(0);
      } else {
        const part = chunk.subarray(at, at + this.left);
        this.sink.part(part);
        at += part.length;
        this.left -= part.length;
        if (this.left === 0) this.finish();
      }
    }
  }

  private start(head: string): void {
    const size = /^[0-9a-f]+ blob (\d+)$/.exec(head)?.[1];
    if (size === undefined) throw new Error('an object of the rescue is missing');
    this.sink.begin();
    this.left = Number(size);
    if (this.left === 0) this.finish();
  }

  private finish(): void {
    this.sink.end();
    this.left = -1;
    this.ends = true;
  }
}
