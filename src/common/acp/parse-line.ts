import { LOG_LEVELS, MESSAGE_TYPES, type LogLevel, type MessageDraft, type MessageType } from './acp-message.js';
import { sanitizeJson, sanitizeText } from './sanitize.js';

/** One line of an agent's output, without its newline. */
export interface OutputLine {
  bytes: Buffer;
  source: 'stdout' | 'stderr';
  /** The line is a piece: it goes on in the next message of the same source … */
  continues?: boolean;
  /** … or it began in the message before. */
  continued?: boolean;
}

// With ignoreBOM a byte order mark is kept: it is a part of the agent's text like any other.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const CR = 13;
// Timestamps outside are an agent's mistake, and some would not fit the column.
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);

/**
 * The message that a line of output is. Never fails and never drops: whatever is no ACP message becomes a `log`
 * (stdout `info`, stderr `warn`). What had to be changed to be stored is flagged in `data.metadata`:
 * `invalid_utf8`, `sanitized`, `continues`, `continued`.
 */
export function parseLine(line: OutputLine, now: Date): MessageDraft {
  const { text, valid } = decode(line);
  const whole = line.continues !== true && line.continued !== true;
  const message = valid && whole && line.source === 'stdout' ? parseMessage(text, now) : undefined;
  return message ?? logLine(line, text, valid, now);
}

function decode({ bytes, continues }: OutputLine): { text: string; valid: boolean } {
  const end = bytes.at(-1) === CR && !continues ? bytes.length - 1 : bytes.length; // of CRLF; inside a line it stays
  const content = bytes.subarray(0, end);
  try {
    return { text: utf8.decode(content), valid: true };
  } catch {
    return { text: utf8Lenient.decode(content), valid: false };
  }
}

/** The message that a whole line is; undefined for what is no ACP message. */
export function parseMessage(text: string, now: Date): MessageDraft | undefined {
  if (!text.startsWith('{') && !text.trimStart().startsWith('{')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
  } catch {
    return undefined;
  }
  const { type, timestamp, data } = parsed as Record<string, unknown>;
  if (!isMessageType(type) || !isObject(data ?? {})) return undefined;
  const sanitized = sanitizeJson(data ?? {});
  if (!sanitized) return undefined;
  const content = sanitized.value as Record<string, unknown>;
  if (sanitized.changed) flag(content, 'sanitized');
  return {
    type,
    timestamp: soundTimestamp(timestamp) ?? now.toISOString(),
    level: levelOf(type, content),
    data: content,
  };
}

function logLine(line: OutputLine, text: string, valid: boolean, now: Date): MessageDraft {
  const message = sanitizeText(text);
  const level: LogLevel = line.source === 'stderr' ? 'warn' : 'info';
  const data: Record<string, unknown> = { level, message, metadata: { source: line.source } };
  if (!valid) flag(data, 'invalid_utf8');
  if (message !== text) flag(data, 'sanitized');
  if (line.continues) flag(data, 'continues');
  if (line.continued) flag(data, 'continued');
  return { type: 'log', timestamp: now.toISOString(), level, data };
}

function flag(data: Record<string, unknown>, name: string): void {
  data['metadata'] = { ...(isObject(data['metadata']) ? data['metadata'] : {}), [name]: true };
}

function levelOf(type: MessageType, data: Record<string, unknown>): LogLevel | null {
  if (type === 'error') return 'error';
  if (type !== 'log') return null;
  const level = typeof data['level'] === 'string' ? data['level'].toLowerCase() : '';
  if (level === 'warning') return 'warn';
  return LOG_LEVELS.find((known) => known === level) ?? 'info';
}

function soundTimestamp(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 40) return undefined;
  const time = Date.parse(value);
  return time >= EARLIEST && time < LATEST ? new Date(time).toISOString() : undefined;
}

function isMessageType(value: unknown): value is MessageType {
  return (MESSAGE_TYPES as readonly unknown[]).includes(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
