// RFC 6455, section 5.2: a whole text frame from a server, not masked.
const FIN_TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** The texts as WebSocket frames, one each, in one buffer: it is written with one call, and to any number of sockets. */
export function textFrames(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const buffer = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + headLength(length) + length, 0));
  let at = 0;
  for (const [i, text] of texts.entries()) {
    const length = lengths[i]!;
    at = writeHead(buffer, at, length);
    at += buffer.write(text, at, length);
  }
  return buffer;
}

function headLength(length: number): number {
  if (length < LENGTH_16) return 2;
  return length < 65_536 ? 4 : 10;
}

function writeHead(buffer: Buffer, at: number, length: number): number {
  buffer[at] = FIN_TEXT;
  if (length < LENGTH_16) {
    buffer[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    buffer[at + 1] = LENGTH_16;
    return buffer.writeUInt16BE(length, at + 2);
  }
  buffer[at + 1] = LENGTH_64;
  return buffer.writeBigUInt64BE(BigInt(length), at + 2);
}
