import { Transform } from 'node:stream';
import type { Redactor } from './redaction.js';

const STAR = 0x2a;

/**
 * Bytes without the secrets, each of whose bytes becomes `*`: sizes and places stay, so that a file is still what it
 * was. Holds back as much as the longest secret has, and so finds what lies across the borders of chunks.
 */
export function redactStream(redactor: Redactor): Transform {
  const reach = Math.max(0, redactor.reach - 1);
  let seen: Buffer = Buffer.alloc(0); // held back, as it was …
  let clean: Buffer = seen; // … and as it is to be
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (!redactor.active) {
        done(null, chunk);
        return;
      }
      seen = Buffer.concat([seen, chunk]);
      clean = Buffer.concat([clean, chunk]);
      for (const [from, to] of redactor.spans(seen)) clean.fill(STAR, from, to);
      const ready = Math.max(0, seen.length - reach);
      const out = clean.subarray(0, ready);
      seen = seen.subarray(ready);
      clean = clean.subarray(ready);
      done(null, out);
    },
    flush(done) {
      done(null, clean);
    },
  });
}
