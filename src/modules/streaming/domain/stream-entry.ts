import type { AcpMessage } from '../../../common/acp/acp-message.js';

/** A message on its way to any number of readers: turned into JSON once for all of them. */
export class StreamEntry {
  readonly seq: number;
  /** The wire form. Its length, in UTF-16 units, is what buffers and frames are measured by. */
  readonly json: string;

  constructor(message: AcpMessage) {
    this.seq = message.seq;
    this.json = JSON.stringify(message);
  }
}

/** Entries of the longest run of consecutive `seq` at the front of `messages`. */
export function consecutiveEntries(messages: readonly AcpMessage[]): StreamEntry[] {
  const entries: StreamEntry[] = [];
  for (const message of messages) {
    if (entries.length > 0 && message.seq !== entries.at(-1)!.seq + 1) break;
    entries.push(new StreamEntry(message));
  }
  return entries;
}
