import type { StoredMessage } from '../../../common/acp/stored-message.js';

/** A message on its way to any number of readers. Buffers and frames are measured by the length of its JSON, in UTF-16 units. */
export type StreamEntry = StoredMessage;

/** The longest run of consecutive `seq` at the front of `messages`. */
export function consecutiveEntries(messages: readonly StreamEntry[]): readonly StreamEntry[] {
  const end = messages.findIndex((message, index) => index > 0 && message.seq !== messages[index - 1]!.seq + 1);
  return end === -1 ? messages : messages.slice(0, end);
}
