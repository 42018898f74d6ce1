import type { AgentDialogues, Heard } from '../contracts/agent-dialogues.js';
import type { Redactor } from '../domain/redaction.js';

/**
 * How many of the lines can be taken in now. The rest are the last pieces of a text, which end in what may be the beginning
 * of a secret: agents tell what they say in pieces of a few characters, none of which shows what they are together.
 */
export function untornCount(heard: readonly Heard[], redactor: Redactor, pieceOf: AgentDialogues['pieceOf']): number {
  if (!redactor.active) return heard.length;
  const pieces: Buffer[] = [];
  let bytes = 0;
  let of: string | undefined;
  for (const one of heard.toReversed()) {
    const piece = 'line' in one ? pieceOf(one.line) : null;
    if (!piece || (of !== undefined && piece.of !== of)) break;
    of = piece.of;
    pieces.unshift(Buffer.from(piece.text));
    bytes += pieces[0]!.length;
    if (bytes >= redactor.reach) break;
  }
  const from = redactor.tornFrom(Buffer.concat(pieces, bytes));
  let left = bytes - from;
  if (left <= 0) return heard.length;
  let torn = 0;
  for (; left > 0; torn++) left -= pieces[pieces.length - 1 - torn]!.length;
  return heard.length - torn;
}
