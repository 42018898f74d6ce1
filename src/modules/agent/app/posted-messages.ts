import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { parseMessage } from '../../../common/acp/parse-line.js';
import { MAX_DEPTH } from '../../../common/acp/sanitize.js';
import type { FieldError } from '../../../common/errors/domain-error.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';

/** Lines of one request, and so of one transaction: other writers of the task wait for it. */
export const MAX_POSTED_LINES = 1000;
/** Empty ones count here: a million of them would keep the server busy for a quarter of a second. */
const MAX_LINES_LOOKED_AT = 10 * MAX_POSTED_LINES;
/** An answer names at most this many lines. */
const MAX_ERRORS = 20;
const NEWLINE = 10;
const WHAT_IS_WANTED =
  'must be an ACP message: a JSON object in UTF-8 with a type of progress, log, result, error, status or heartbeat, and ' +
  `data that is an object, nested at most ${MAX_DEPTH} levels deep`;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** What a request holds. */
export interface PostedMessages {
  drafts: MessageDraft[];
  bytes: number;
}

/**
 * The messages of a body: the bytes of NDJSON, or one message as parsed JSON. All or nothing: a client can be told
 * what is no message, so nothing is turned into a log as a line of stdout is. Empty lines are no lines.
 * @throws DomainError `request.invalid`, a wrong line as the field `line 3`
 */
export function postedMessages(body: unknown, now: Date): PostedMessages {
  if (!Buffer.isBuffer(body)) {
    const text = JSON.stringify(body ?? null);
    return { drafts: draftsOf([{ number: 1, text }], now), bytes: Buffer.byteLength(text) };
  }
  return { drafts: draftsOf(linesOf(body), now), bytes: body.length };
}

function tooManyLines() {
  return invalidRequest([{ field: 'body', message: `must have at most ${MAX_POSTED_LINES} lines` }]);
}

interface Line {
  number: number;
  /** Undefined for what is no UTF-8. */
  text: string | undefined;
}

function linesOf(body: Buffer): Line[] {
  const lines: Line[] = [];
  for (let start = 0, number = 1; start < body.length; number++) {
    if (number > MAX_LINES_LOOKED_AT) throw tooManyLines();
    const found = body.indexOf(NEWLINE, start);
    const end = found === -1 ? body.length : found;
    const text = decode(body.subarray(start, end));
    if (text === undefined || text.trim() !== '') lines.push({ number, text });
    if (lines.length > MAX_POSTED_LINES) throw tooManyLines();
    start = end + 1;
  }
  if (lines.length === 0) throw invalidRequest([{ field: 'body', message: 'must hold at least one message' }]);
  return lines;
}

function draftsOf(lines: Line[], now: Date): MessageDraft[] {
  const drafts: MessageDraft[] = [];
  const errors: FieldError[] = [];
  for (const { number, text } of lines) {
    const draft = text === undefined ? undefined : parseMessage(text, now);
    if (draft) drafts.push(draft);
    else if (errors.length < MAX_ERRORS) errors.push({ field: `line ${number}`, message: WHAT_IS_WANTED });
  }
  if (errors.length > 0) throw invalidRequest(errors);
  return drafts;
}

function decode(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
