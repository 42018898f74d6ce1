import type { AgentDialogues, Heard } from '../contracts/agent-dialogues.js';
import type { Redactor } from '../domain/redaction.js';

/** So many lines that say nothing of a text are looked past: what goes on for longer ends nothing, but is no reason to wait. */
const MAX_BESIDE = 50;

/**
 * How many of the lines can be taken in now. The rest are the last pieces of a text, which end in what may be the beginning
 * of a secret: agents tell what they say in pieces of a few characters, none of which shows what they are together. What
 * `redactStream` holds back of bytes is here left in the file.
 */
export function untornCount(heard: readonly Heard[], redactor: Redactor, pieceOf: AgentDialogues['pieceOf']): number {
  if (!redactor.active) return heard.length;
  const pieces = lastPieces(heard, redactor.reach, pieceOf);
  const text = Buffer.concat(pieces);
  const starts: number[] = [];
  for (let at = 0, n = 0; n < pieces.length; at += pieces[n]!.length, n++) starts.push(at);
  const pieceAt = (byte: number): number => starts.findLastIndex((start) => start <= byte);
  const torn = redactor.tornFrom(text);
  if (torn === text.length) return heard.length;
  // What is taken in ends between two pieces, and not within a secret that is there as a whole.
  let first = pieceAt(torn);
  for (const [from, to] of redactor.spans(text).toReversed()) {
    const cut = starts[first]!;
    if (from < cut && cut < to) first = pieceAt(from);
  }
  return heard.length - pieces.length + first;
}

/** The texts of the lines at the end that are pieces of one text; enough of them to see twice the longest secret. */
function lastPieces(heard: readonly Heard[], reach: number, pieceOf: AgentDialogues['pieceOf']): Buffer[] {
  const pieces: Buffer[] = [];
  let of: string | null = null;
  let bytes = 0;
  let beside = 0;
  for (const one of heard.toReversed()) {
    const piece = 'line' in one && bytes < 2 * reach && beside <= MAX_BESIDE ? pieceOf(one.line) : null;
    if (!piece || (piece.of !== null && of !== null && piece.of !== of)) break;
    of ??= piece.of;
    beside = piece.text === '' ? beside + 1 : 0;
    bytes += pieces[pieces.push(Buffer.from(piece.text)) - 1]!.length;
  }
  return pieces.toReversed();
}
