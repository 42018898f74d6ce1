import type { OutputLine } from '../../../common/acp/parse-line.js';
import type { OutputFile, OutputSource } from '../domain/run-directory.js';

/** A line longer than this is stored in flagged pieces: 1 MiB, far more than any message of a known agent. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** Lines of one read, and so of one transaction: a mebibyte of empty lines would stop everybody else for seconds. */
const MAX_LINES = 5_000;
const NEWLINE = 10;

/** A line, or a piece of a long one with what stands around it in the same line, as far as was asked for. */
export interface FoundLine extends OutputLine {
  before?: Buffer;
  after?: Buffer;
}

/** What one read has found, and the offset after the last line of it. */
export interface ReadLines {
  lines: FoundLine[];
  next_offset: number;
}

/**
 * Whole lines from `offset`, at most {@link MAX_LINES} and {@link MAX_LINE_BYTES} in all. The rest of a line whose end
 * has not been written stays for the next call, unless `atEnd`. Needs nothing but the offset: a piece of a long line is
 * known by the byte before it. Pieces come with up to `context` bytes before and after: one waits until so much of the
 * line is there, too.
 */
export async function readLines(
  file: OutputFile,
  source: OutputSource,
  offset: number,
  atEnd: boolean,
  context = 0,
): Promise<ReadLines> {
  const back = Math.min(offset, Math.max(1, context));
  const buffer = await file.read(offset - back, back + MAX_LINE_BYTES + context);
  const bytes = buffer.subarray(back, back + MAX_LINE_BYTES);
  const inLine = back > 0 && buffer[back - 1] !== NEWLINE;
  const before = inLine && context > 0 ? buffer.subarray(buffer.lastIndexOf(NEWLINE, back - 1) + 1, back) : undefined;
  const first = inLine ? { continued: true, ...(before && { before }) } : { continued: false };
  const lines: FoundLine[] = [];
  let position = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, position)) {
    if (lines.length === MAX_LINES) return { lines, next_offset: offset + position };
    lines.push({ source, bytes: bytes.subarray(position, end), ...(position === 0 ? first : { continued: false }) });
    position = end + 1;
  }
  if (position === 0 && bytes.length === MAX_LINE_BYTES) {
    const cut = characterBoundary(bytes);
    const after = restOfLine(buffer.subarray(back + cut));
    const isWhole = atEnd || after.length >= context || back + cut + after.length < buffer.length;
    if (!isWhole) return { lines, next_offset: offset };
    const piece = { source, bytes: bytes.subarray(0, cut), continues: true, ...first };
    return { lines: [context > 0 ? { ...piece, after } : piece], next_offset: offset + cut };
  }
  if (atEnd && position < bytes.length && bytes.length < MAX_LINE_BYTES) {
    lines.push({ source, bytes: bytes.subarray(position), ...(position === 0 ? first : { continued: false }) });
    position = bytes.length;
  }
  return { lines, next_offset: offset + position };
}

function restOfLine(bytes: Buffer): Buffer {
  const end = bytes.indexOf(NEWLINE);
  return end === -1 ? bytes : bytes.subarray(0, end);
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
