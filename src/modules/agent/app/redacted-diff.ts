import { pipeline, type Readable, Transform } from 'node:stream';
import type { Redactor } from '../domain/redaction.js';
import type { Comparison } from '../domain/work-trees.js';

const PIECE_BYTES = 64 * 1024; // looked through at once: as much as a stream of git's hands over
const NOTHING = Buffer.alloc(0);
const INSIDE = { start: false, end: false };

/** A comparison without the secrets. */
export function redactedComparison(comparison: Comparison, redactor: Redactor): Comparison {
  if (!redactor.active) return comparison;
  const orNull = (text: string | null): string | null => (text === null ? null : redactor.text(text));
  const files = comparison.files.map(({ path, old_path, patch, ...file }) => ({
    ...file,
    ...{ path: redactor.text(path), old_path: orNull(old_path), patch: orNull(patch) },
  }));
  const left_out = comparison.left_out.map((file) => ({ ...file, path: redactor.text(file.path) }));
  return { ...comparison, files, left_out };
}

/** A stream of text without the secrets; fails when `source` does, and ends it when nobody reads on. */
export function redactedStream(source: Readable, redactor: Redactor): Readable {
  if (!redactor.active) return source;
  let before = NOTHING;
  let pending = NOTHING;
  /** All but the last bytes, which may be the beginning of a secret. */
  const next = (kept: number): Buffer => {
    const bytes = pending.subarray(0, pending.length - kept);
    const after = pending.subarray(bytes.length);
    const clean = redactor.piece(before, bytes, after, INSIDE);
    before = Buffer.concat([before, bytes]).subarray(-redactor.reach);
    pending = after;
    return clean;
  };
  const redacted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      pending = Buffer.concat([pending, chunk]);
      done(null, pending.length < redactor.reach + PIECE_BYTES ? undefined : next(redactor.reach));
    },
    flush(done) {
      done(null, next(0));
    },
  });
  return pipeline(source, redacted, () => undefined); // whoever reads is told by the stream itself
}
