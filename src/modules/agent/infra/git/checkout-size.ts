import { Writable } from 'node:stream';
import type { Git } from './git.js';

/** What a file takes on disk at least. */
const BLOCK = 4096;

/**
 * Bytes that the files of a commit will take on disk, known before any is written: a few kilobytes of history may hold
 * terabytes of files. Counting ends with what `tooLarge` makes when it is past `maxBytes`.
 */
export async function checkoutSize(
  git: Git,
  run: { gitDir: string; commit: string; signal: AbortSignal },
  maxBytes: number,
  tooLarge: () => Error,
): Promise<number> {
  let bytes = 0;
  let rest = '';
  const count = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) bytes += Math.ceil((Number(line) || 1) / BLOCK) * BLOCK;
      done(bytes > maxBytes ? tooLarge() : null);
    },
  });
  const { gitDir, commit, signal } = run;
  const list = ['ls-tree', '-r', '-t', '--full-tree', '--format=%(objectsize)', commit];
  const { code, errors } = await git.run(list, { gitDir, signal, stdout: count });
  if (code !== 0) throw new Error(`the files of a commit could not be counted: ${errors}`);
  return bytes;
}
