import { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import { attachment } from './attachment.js';
import { NDJSON } from './ndjson.js';

/** How long a client may take for one piece: with the largest ones of 4 MiB that is a line of 14 KiB a second. */
const STALL_MS = 300_000;

/**
 * An answer of lines that is read on as fast as the client takes it. Where the lines fail, or the client takes nothing
 * for {@link STALL_MS}, the connection is cut off: an end that looks like one would hide what is missing. Calls back
 * when it is over, however it has ended.
 */
export function ndjsonAnswer(pieces: AsyncIterable<string>, fileName: string, onEnd: () => void): StreamableFile {
  const stalled = (): void => {
    stream.destroy(new Error('the client has taken nothing for too long'));
  };
  const stream = Readable.from(watched(pieces, stalled)); // holds one piece
  stream.once('close', onEnd);
  return new StreamableFile(stream, { type: NDJSON, disposition: attachment(fileName) });
}

async function* watched(pieces: AsyncIterable<string>, stalled: () => void): AsyncGenerator<string> {
  for await (const piece of pieces) {
    const timer = setTimeout(stalled, STALL_MS).unref();
    try {
      yield piece;
    } finally {
      clearTimeout(timer);
    }
  }
}
