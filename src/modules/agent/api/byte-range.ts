/** Which bytes of a file are asked for: both ends belong to it. */
export interface ByteRange {
  start: number;
  end: number;
}

const RANGE = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/;

/**
 * What a `Range` asks for of so many bytes (RFC 9110, 14.2). Null: the whole file, also for what is no range of bytes
 * and for several ranges, which nobody has to serve. `none`: no such bytes.
 */
export function byteRange(header: string | undefined, size: number): ByteRange | 'none' | null {
  const match = RANGE.exec((header ?? '').replaceAll(/[ \t]/g, ''));
  if (!match) return null;
  const [, first, last, suffix] = match;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? 'none' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' || last === undefined ? Infinity : Number(last);
  if (end < start) return null; // no range at all
  return start >= size ? 'none' : { start, end: Math.min(end, size - 1) };
}
