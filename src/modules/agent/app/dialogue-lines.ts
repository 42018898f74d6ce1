import type { Heard } from '../contracts/agent-dialogues.js';
import type { OutputFile } from '../domain/run-directory.js';

/**
 * The longest frame that is taken: 32 MiB. A frame holds at most a file before and after a change, and a few of them are
 * in memory at a time.
 */
export const MAX_FRAME_BYTES = 32 * 1024 * 1024;
const FIRST_BYTES = 64 * 1024;
/** Frames of one read, and so of one transaction. */
const MAX_FRAMES = 500;
const NEWLINE = 10;
const CR = 13;

/** Frames of one read, and the offset after the last of them. */
export interface ReadFrames {
  heard: Heard[];
  /** The offset after each of them. */
  ends: number[];
  next_offset: number;
  /** Bytes that the file has at least. */
  seen: number;
  /** There may be whole lines behind them. */
  more: boolean;
}

/**
 * Whole lines from an offset, as text; what is no UTF-8 has replacement characters. The last one without its newline
 * only where nothing will be written any more. Needs nothing but the offset. `times` as much as a read mostly takes.
 */
export async function readFrames(file: OutputFile, offset: number, atEnd: boolean, times = 1): Promise<ReadFrames> {
  for (let limit = times * FIRST_BYTES; ; limit = Math.min(4 * limit, MAX_FRAME_BYTES)) {
    const buffer = await file.read(offset, limit);
    const end = buffer.lastIndexOf(NEWLINE);
    const seen = offset + buffer.length;
    const isFull = buffer.length >= limit;
    if (end === -1 && isFull && limit < MAX_FRAME_BYTES) continue;
    if (end === -1 && isFull)
      return { heard: [{ too_long: buffer.length }], ends: [seen], next_offset: seen, seen, more: true };
    if (end === -1 && !(atEnd && buffer.length > 0))
      return { heard: [], ends: [], next_offset: offset, seen, more: false };
    return framesOf(buffer, { offset, isFull, isLast: atEnd && !isFull, most: times * MAX_FRAMES });
  }
}

function framesOf(
  buffer: Buffer,
  { offset, isFull, isLast, most }: { offset: number; isFull: boolean; isLast: boolean; most: number },
): ReadFrames {
  const heard: Heard[] = [];
  const ends: number[] = [];
  let start = 0;
  while (start < buffer.length && heard.length < most) {
    const found = buffer.indexOf(NEWLINE, start);
    if (found === -1 && !isLast) break;
    const end = found === -1 ? buffer.length : found;
    const line = buffer.subarray(start, end > start && buffer[end - 1] === CR ? end - 1 : end);
    heard.push({ line: line.toString() });
    start = end + 1;
    ends.push(offset + Math.min(start, buffer.length));
  }
  const next = Math.min(start, buffer.length);
  return {
    heard,
    ends,
    next_offset: offset + next,
    seen: offset + buffer.length,
    more: isFull || buffer.includes(NEWLINE, next),
  };
}
