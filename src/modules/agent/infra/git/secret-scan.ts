import { Writable } from 'node:stream';
import type { Redactor } from '../../domain/redaction.js';
import { GitOutputTooLarge } from './git.js';

/** Looks for secrets in all that is written to it, chunk by chunk; others have their turn in between. */
export class SecretScan extends Writable {
  found = false;
  private before = Buffer.alloc(0);
  private bytes = 0;

  /** Fails with GitOutputTooLarge on more than `maxBytes`. */
  constructor(
    private readonly redactor: Redactor,
    private readonly maxBytes: number,
  ) {
    super();
  }

  override _write(chunk: Buffer, _: BufferEncoding, next: (error?: Error) => void): void {
    this.bytes += chunk.length;
    if (this.bytes > this.maxBytes) return next(new GitOutputTooLarge());
    // A secret may begin in one chunk and end in a later one.
    const text = Buffer.concat([this.before, chunk]);
    this.found ||= this.redactor.spans(text).length > 0;
    this.before = text.subarray(Math.max(0, text.length - this.redactor.reach));
    setImmediate(next);
  }
}
