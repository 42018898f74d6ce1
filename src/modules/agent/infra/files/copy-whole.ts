import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { NotCopied, type CopiedFile } from '../../domain/agent-files.js';

/**
 * Copies an open file, at most `maxBytes` of it: one that is larger, or grows meanwhile, is not copied at all. The copy
 * appears in one step, under a name that may depend on what is in it.
 * @throws NotCopied `too_large`
 */
export async function copyWhole(
  handle: FileHandle,
  maxBytes: number,
  transform: Transform,
  destination: (copied: CopiedFile) => string,
): Promise<CopiedFile> {
  const hash = createHash('sha256');
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      hash.update(chunk);
      done(size > maxBytes ? new NotCopied('too_large') : null, chunk);
    },
  });
  const folder = dirname(destination({ size, sha256: '' }));
  const partial = join(folder, `.partial-${crypto.randomUUID()}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    // One byte more than is allowed tells a file that is too large.
    const source = handle.createReadStream({ start: 0, end: maxBytes, autoClose: false });
    await pipeline(source, transform, measure, createWriteStream(partial, { mode: 0o600, flags: 'wx' }));
    const copied = { size, sha256: hash.digest('hex') };
    await rename(partial, destination(copied));
    return copied;
  } finally {
    await rm(partial, { force: true });
  }
}
