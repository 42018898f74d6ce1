import type { OutputLine } from '../../../common/acp/parse-line.js';
import type { OutputFile, OutputSource } from '../domain/run-directory.js';

/** A line longer than this is stored in flagged pieces: 1 MiB, far more than any message of a known agent. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** Lines of one read, and so of one transaction: many empty ones would stop everybody else for long. */
export const MAX_LINES = 2_000;
const NEWLINE = 10;

/** A piece of a long line, with what stands around it in the same line, as far as was asked for. */
export interface FoundLine extends OutputLine {
  before?: Buffer;
  after?: Buffer;
}

/** What to read, and how much of it. */
export interface ReadRequest {
  offset: number;
  /** Nothing will be written any more. */
  atEnd: boolean;
  /** Bytes to look at, at most {@link MAX_LINE_BYTES}; a line that is longer is taken all the same. */
  bytes: number;
  /** Bytes of the same line that a piece of a long line is to have before and after it. */
  context: number;
}

/** What one read has found; the offset after the last of it. */
export interface ReadLines {
  /** A piece of a long line, or its rest; comes before the lines. */
  piece: FoundLine | null;
  /** Whole lines, each with its newline; at the end of the output the last one may have none. */
  lines: Buffer;
  next_offset: number;
  /** Bytes that the file has; at least, where the read was `full`. Less than `offset`: it was cut off. */
  seen: number;
  full: boolean;
  /** There are whole lines that were left for the next read. */
  more: boolean;
}

/**
 * Whole lines from an offset, at most {@link MAX_LINES}. The rest of a line whose end has not been written stays for
 * the next call, unless `atEnd`. Needs nothing but the offset: a piece of a long line is known by the byte before it.
 * A piece waits until the context after it is there, too, or at least one byte.
 */
export async function readLines(file: OutputFile, source: OutputSource, request: ReadRequest): Promise<ReadLines> {
  const { offset, context, atEnd } = request;
  const back = Math.min(offset, Math.max(1, context));
  const ahead = Math.max(1, context); // whether a line goes on is told by what comes next
  const read = (bytes: number): Promise<Buffer> => file.read(offset - back, back + bytes + ahead);
  let limit = Math.min(request.bytes, MAX_LINE_BYTES);
  let buffer = await read(limit);
  if (
    limit < MAX_LINE_BYTES &&
    buffer.length >= back + limit &&
    !buffer.subarray(back, back + limit).includes(NEWLINE)
  ) {
    limit = MAX_LINE_BYTES;
    buffer = await read(limit);
  }
  const bytes = buffer.subarray(back, back + limit);
  const found = { seen: offset - back + buffer.length, full: buffer.length >= back + limit + ahead };
  const inLine = back > 0 && buffer[back - 1] !== NEWLINE;
  const before = inLine && context > 0 ? buffer.subarray(buffer.lastIndexOf(NEWLINE, back - 1) + 1, back) : undefined;
  const nothing = bytes.subarray(0, 0);
  const end = bytes.indexOf(NEWLINE);
  const isLast = atEnd && buffer.length === back + bytes.length;
  if (end === -1 && bytes.length === MAX_LINE_BYTES && !isLast) {
    const cut = characterBoundary(bytes);
    const after = restOfLine(buffer.subarray(back + cut));
    const isWhole = atEnd || after.length >= ahead || back + cut + after.length < buffer.length;
    if (!isWhole) return { ...found, piece: null, lines: nothing, next_offset: offset, more: false };
    const around = { ...(before && { before }), ...(context > 0 && { after }) };
    const piece = { source, bytes: bytes.subarray(0, cut), continues: true, continued: inLine, ...around };
    return { ...found, piece, lines: nothing, next_offset: offset + cut, more: found.full };
  }
  const from = !inLine ? 0 : end === -1 ? (isLast ? bytes.length : 0) : end + 1;
  const rest = {
    source,
    bytes: bytes.subarray(0, end === -1 ? from : end),
    continued: true,
    ...(before && { before }),
  };
  const to = endOfLines(bytes, from, isLast);
  const piece = from > 0 ? rest : null;
  const more = found.full || bytes.includes(NEWLINE, to);
  return { ...found, piece, lines: bytes.subarray(from, to), next_offset: offset + to, more };
}

/** What was found, line by line, for who looks at few. */
export function eachLine({ piece, lines }: Pick<ReadLines, 'piece' | 'lines'>, source: OutputSource): FoundLine[] {
  const found: FoundLine[] = piece ? [piece] : [];
  for (let start = 0; start < lines.length;) {
    const newline = lines.indexOf(NEWLINE, start);
    const end = newline === -1 ? lines.length : newline;
    found.push({ source, bytes: lines.subarray(start, end) });
    start = end + 1;
  }
  return found;
}

/** Where the lines from a place on end, as many as may be taken at once. */
function endOfLines(bytes: Buffer, from: number, isLast: boolean): number {
  let end = from;
  for (let count = 0; count < MAX_LINES; count++) {
    const found = bytes.indexOf(NEWLINE, end);
    if (found === -1) return isLast ? bytes.length : end;
    end = found + 1;
  }
  return end;
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
