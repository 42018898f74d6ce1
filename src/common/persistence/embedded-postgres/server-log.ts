import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** Beyond this the log is emptied at the next cold start. */
const LARGEST_BYTES = 10 * 1024 * 1024;
const TAIL_LINES = 15;

/**
 * Opens PostgreSQL's log for appending (0600) and empties it if it has grown too large.
 * `from` is where the lines of the coming start begin, in bytes.
 */
export async function openServerLog(path: string): Promise<{ file: FileHandle; from: number }> {
  const file = await open(path, 'a', 0o600);
  if ((await file.stat()).size > LARGEST_BYTES) await file.truncate(0);
  return { file, from: (await file.stat()).size };
}

/** What PostgreSQL wrote since byte `from` (everything, if the log has been emptied since). */
export async function readServerLog(path: string, from: number): Promise<string> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  return bytes.subarray(from <= bytes.length ? from : 0).toString('utf8');
}

/** The last lines of an output, indented for an error message, with the password blotted out should it stand there. */
export function lastLines(output: string, password: string): string {
  const lines = output.replaceAll(password, '***').trimEnd().split('\n').slice(-TAIL_LINES);
  return lines.map((line) => `  ${line}`).join('\n');
}
