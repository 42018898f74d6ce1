import type { OutputLine } from '../../../common/acp/parse-line.js';
import type { OutputFile, OutputSource } from '../domain/run-directory.js';

/** A line longer than this is stored in flagged pieces: 1 MiB, far more than any message of a known agent. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** Lines of one read, and so of one transaction: a mebibyte of empty lines would stop everybody else for seconds. */
const MAX_LINES = 5_000;
const NEWLINE = 10;

/** What one read has found, and the offset after the last line of it. */
export interface ReadLines {
  lines: OutputLine[];
  next_offset: number;
}

/**
 * Whole lines from `offset`, at most {@link MAX_LINES} and {@link MAX_LINE_BYTES} in all. The rest of a line whose end has not been
 * written stays for the next call, unless `atEnd`. Needs nothing but the offset: a piece of a long line is known
 * by the byte before it.
 */
export async function readLines(
  file: OutputFile,
  source: OutputSource,
  offset: number,
  atEnd: boolean,
): Promise<ReadLines> {
  const back = offset > 0 ? 1 : 0;
  const buffer = await file.read(offset - back, MAX_LINE_BYTES + back);
  const bytes = buffer.subarray(back);
  const inLine = back === 1 && buffer[0] !== NEWLINE;
  const lines: OutputLine[] = [];
  let position = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, position)) {
    if (lines.length === MAX_LINES) return { lines, next_offset: offset + position };
    lines.push({ source, bytes: bytes.subarray(position, end), continued: inLine && position === 0 });
    position = end + 1;
  }
  if (position === 0 && bytes.length === MAX_LINE_BYTES) {
    const cut = characterBoundary(bytes);
    return {
      lines: [{ source, bytes: bytes.subarray(0, cut), continues: true, continued: inLine }],
      next_offset: offset + cut,
    };
  }
  if (atEnd && position < bytes.length && bytes.length < MAX_LINE_BYTES) {
    lines.push({ source, bytes: bytes.subarray(position), continued: inLine && position === 0 });
    position = bytes.length;
  }
  return { lines, next_offset: offset + position };
}

/** Where to cut so that no UTF-8 character is torn: before a lead byte among the last three, where one is. */
function characterBoundary(bytes: Buffer): number {
  for (let back = 1; back <= 3; back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) return bytes.length - back;
    if (byte < 0x80) break;
  }
  return bytes.length;
}
