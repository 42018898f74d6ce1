import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { parseLine, parseLines } from '../../../common/acp/parse-line.js';
import type { OutputSource } from '../domain/run-directory.js';
import type { Redactor } from '../domain/redaction.js';
import type { FoundLine, ReadLines } from './output-lines.js';

const BRACE = 0x7b;
const NEWLINE = 10;
const NOTHING = Buffer.alloc(0);
/** JSON may write any character as its number; what such a line says is only to be seen when it is parsed. */
const ESCAPE = Buffer.from('\\u');

/** The messages that lines of output are, without the attempt's secrets. */
export function redactedMessages(
  { piece, lines }: Pick<ReadLines, 'piece' | 'lines'>,
  source: OutputSource,
  redactor: Redactor,
  now: Date,
): MessageDraft[] {
  const first = piece ? [pieceMessage(piece, redactor, now)] : [];
  if (lines.length === 0) return first;
  const messages = parseLines(lines, source, now);
  // All lines are looked at at once: those that may hold something are few.
  if (redactor.active && (redactor.suspects(lines) || lines.includes(ESCAPE))) redactLines(messages, lines, redactor);
  return piece ? [...first, ...messages] : messages;
}

function pieceMessage(piece: FoundLine, redactor: Redactor, now: Date): MessageDraft {
  if (!redactor.active) return parseLine(piece, now);
  const { continues = false, continued = false, before = NOTHING, bytes, after = NOTHING } = piece;
  const edges = { start: !continued, end: !continues };
  return parseLine({ ...piece, bytes: redactor.piece(before, bytes, after, edges) }, now);
}

/** `messages` are those of the lines, one each. */
function redactLines(messages: MessageDraft[], lines: Buffer, redactor: Redactor): void {
  let start = 0;
  for (const [n, message] of messages.entries()) {
    const found = lines.indexOf(NEWLINE, start);
    const line = lines.subarray(start, found === -1 ? lines.length : found);
    if (redactor.suspects(line) || mayEscape(line)) messages[n] = redactor.message(message);
    start += line.length + 1;
  }
}

/** A line that begins with a visible character other than a brace is no JSON, and is what its bytes are. */
function mayEscape(bytes: Buffer): boolean {
  const first = bytes[0] ?? 0;
  const isText = first > 0x20 && first < 0x80 && first !== BRACE;
  return !isText && bytes.includes(ESCAPE);
}
