/** Depth that a message may nest. Beyond it a line is kept as text: real messages need 5, a parser's stack some 1,000. */
export const MAX_DEPTH = 32;

/** What {@link sanitizeJson} had to change so that PostgreSQL can store the value and find its way in it. */
export interface Sanitized {
  value: unknown;
  changed: boolean;
}

class TooDeep extends Error {}

/**
 * A JSON value in which no text holds NUL or a lone surrogate (PostgreSQL's `json` takes them, but fails where such a
 * message is looked into; each becomes U+FFFD), and no number is beyond what a double holds (it becomes null, as
 * JSON knows no infinity). The value itself where there was nothing to change. Undefined when it nests deeper than
 * {@link MAX_DEPTH}.
 */
export function sanitizeJson(value: unknown): Sanitized | undefined {
  try {
    return isSound(value, 0) ? { value, changed: false } : { value: copy(value, 0), changed: true };
  } catch (error) {
    if (error instanceof TooDeep) return undefined;
    throw error;
  }
}

/** The text without NUL and lone surrogates. */
export function sanitizeText(text: string): string {
  return isSoundText(text) ? text : text.toWellFormed().replaceAll('\0', '\uFFFD');
}

// An escape that PostgreSQL refuses where it looks into a json; also a backslash's own escape before such letters.
const SUSPICIOUS = /\\u(?:0000|d[89a-f])/i;

/** A message's data as JSON that PostgreSQL can store and look into, whoever has made it. */
export function storableJson(data: object): string {
  const text = JSON.stringify(data);
  if (!text.includes('\\u') || !SUSPICIOUS.test(text)) return text;
  return JSON.stringify(sanitizeJson(data)?.value ?? { sanitized: true });
}

/** Looks and copies nothing: almost every message is sound. */
function isSound(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return isSoundText(value);
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_DEPTH) throw new TooDeep();
  if (Array.isArray(value)) return value.every((item) => isSound(item, depth + 1));
  return Object.entries(value).every(([key, item]) => isSoundText(key) && isSound(item, depth + 1));
}

function isSoundText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return sanitizeText(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) throw new TooDeep();
  if (Array.isArray(value)) return value.map((item) => copy(item, depth + 1));
  // fromEntries defines own properties: a key such as "__proto__" stays data
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [sanitizeText(key), copy(item, depth + 1)]));
}
