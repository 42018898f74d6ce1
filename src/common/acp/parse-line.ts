import { isAscii, isUtf8 } from 'node:buffer';
import { LOG_LEVELS, MESSAGE_TYPES, type LogLevel, type MessageDraft, type MessageType } from './acp-message.js';
import { markAsAgents } from './message-source.js';
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
const utf8Lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const CR = 13;
const NEWLINE = 10;
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
  const time = now.toISOString();
  const message = valid && whole && line.source === 'stdout' ? messageOf(text, time) : undefined;
  if (message) return message;
  const flags: Flag[] = [];
  if (!valid) flags.push('invalid_utf8');
  if (line.continues) flags.push('continues');
  if (line.continued) flags.push('continued');
  return logLine(text, line.source, time, flags);
}

/**
 * The messages of whole lines, each ended by a newline; the last one need not be. The same as {@link parseLine} of
 * each of them, at a fraction of the cost: what is all UTF-8, as almost everything is, is looked at and decoded once.
 */
export function parseLines(bytes: Buffer, source: OutputLine['source'], now: Date): MessageDraft[] {
  const end = bytes.at(-1) === NEWLINE ? bytes.length - 1 : bytes.length;
  const content = bytes.subarray(0, end);
  if (!isUtf8(content)) return splitLines(content).map((line) => parseLine({ bytes: line, source }, now));
  const time = now.toISOString();
  const text = content.toString(isAscii(content) ? 'latin1' : 'utf8');
  return text.split('\n').map((raw) => {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    return (source === 'stdout' ? messageOf(line, time) : undefined) ?? logLine(line, source, time);
  });
}

function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  lines.push(bytes.subarray(start));
  return lines;
}

function decode({ bytes, continues }: OutputLine): { text: string; valid: boolean } {
  const end = bytes.at(-1) === CR && !continues ? bytes.length - 1 : bytes.length; // of CRLF; inside a line it stays
  const content = bytes.subarray(0, end);
  const valid = isUtf8(content);
  return { text: valid ? content.toString() : utf8Lenient.decode(content), valid };
}

/** The message that a whole line is; undefined for what is no ACP message. */
export function parseMessage(text: string, now: Date): MessageDraft | undefined {
  return messageOf(text, now.toISOString());
}

function messageOf(text: string, time: string): MessageDraft | undefined {
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
  markAsAgents(type, content);
  if (sanitized.changed) flag(content, 'sanitized');
  return { type, timestamp: soundTimestamp(timestamp) ?? time, level: levelOf(type, content), data: content };
}

function logLine(text: string, source: OutputLine['source'], time: string, flags: readonly Flag[] = []): MessageDraft {
  const message = sanitizeText(text);
  const level: LogLevel = source === 'stderr' ? 'warn' : 'info';
  const data: Record<string, unknown> = { level, message, metadata: { source } };
  for (const name of flags) flag(data, name);
  if (message !== text) flag(data, 'sanitized');
  return { type: 'log', timestamp: time, level, data };
}

type Flag = 'invalid_utf8' | 'sanitized' | 'continues' | 'continued';

function flag(data: Record<string, unknown>, name: Flag): void {
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
