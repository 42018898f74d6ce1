import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { parseLine } from '../../../common/acp/parse-line.js';
import type { Redactor } from '../domain/redaction.js';
import type { FoundLine } from './output-lines.js';

const BRACE = 0x7b;
const NOTHING = Buffer.alloc(0);
/** JSON may write any character as its number; what such a line says is only to be seen when it is parsed. */
const ESCAPE = Buffer.from('\\u');

/** The messages that lines of output are, without the attempt's secrets. */
export function redactedMessages(lines: readonly FoundLine[], redactor: Redactor, now: Date): MessageDraft[] {
  if (!redactor.active) return lines.map((line) => parseLine(line, now));
  return lines.map((line) => {
    const { continues = false, continued = false, before = NOTHING, bytes, after = NOTHING } = line;
    if (continues || continued) {
      const edges = { start: !continued, end: !continues };
      return parseLine({ ...line, bytes: redactor.piece(before, bytes, after, edges) }, now);
    }
    const message = parseLine(line, now);
    return redactor.suspects(bytes) || mayEscape(bytes) ? redactor.message(message) : message;
  });
}

/** A line that begins with a visible character other than a brace is no JSON, and is what its bytes are. */
function mayEscape(bytes: Buffer): boolean {
  const first = bytes[0] ?? 0;
  const isText = first > 0x20 && first < 0x80 && first !== BRACE;
  return !isText && bytes.includes(ESCAPE);
}
