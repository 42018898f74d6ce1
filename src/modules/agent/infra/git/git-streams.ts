import type { ChildProcess } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const MAX_ERROR_BYTES = 64 * 1024;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** What goes in and what comes out. */
export interface StreamOptions {
  stdin?: Readable | Buffer | string;
  /** Where its output goes: nowhere (the default), into the answer, or into a stream, which is ended. */
  stdout?: 'ignore' | 'collect' | Writable;
  /** Of collected output; beyond it git is ended. 64 MiB: a list of half a million files. */
  maxBytes?: number;
}

/** Git said more than the caller wants to have in memory. */
export class GitOutputTooLarge extends Error {
  constructor() {
    super('git said more than was expected');
    this.name = 'GitOutputTooLarge';
  }
}

/** Output into the caller's stream, or into a text. */
export async function readOutput(child: ChildProcess, options: StreamOptions): Promise<string> {
  const { stdout, maxBytes = MAX_OUTPUT_BYTES } = options;
  if (!child.stdout || stdout === undefined || stdout === 'ignore') return '';
  if (stdout !== 'collect') {
    await pipeline(child.stdout, stdout);
    return '';
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of child.stdout as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxBytes) throw new GitOutputTooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The caller's input; git may end before it has read all of it. */
export async function feedInput(child: ChildProcess, { stdin }: StreamOptions): Promise<void> {
  if (!child.stdin || stdin === undefined) return;
  const source = stdin instanceof Readable ? stdin : Readable.from([stdin], { objectMode: false });
  await pipeline(source, child.stdin).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  });
}

/** Splits what git says into lines: for whoever listens, and as a whole, without most of its progress. */
export class Lines {
  private pending = '';
  private kept = '';

  constructor(private readonly onLine: ((line: string) => void) | undefined) {}

  add(text: string): void {
    const lines = (this.pending + text).split(/[\r\n]/);
    this.pending = (lines.pop() ?? '').slice(-MAX_ERROR_BYTES);
    for (const line of lines) this.take(line);
  }

  end(): string {
    this.take(this.pending);
    this.pending = '';
    return this.kept;
  }

  private take(line: string): void {
    if (line === '') return;
    this.onLine?.(line);
    // Progress repeats itself hundreds of times; errors come last and must still find room.
    if (!/\d+% \(|^remote: (Enumerating|Total)/.test(line) && this.kept.length < MAX_ERROR_BYTES)
      this.kept += `${line}\n`;
  }
}
