/** Depth that a message may nest. Beyond it a line is kept as text: real messages need 5, a parser's stack some 1,000. */
export const MAX_DEPTH = 32;

/** What {@link sanitizeJson} had to change so that PostgreSQL can store the value. */
export interface Sanitized {
  value: unknown;
  changed: boolean;
}

class TooDeep extends Error {}

/**
 * A copy of a parsed JSON value in which no text holds NUL or a lone surrogate (both are refused by `jsonb`; each
 * becomes U+FFFD). Undefined when the value nests deeper than {@link MAX_DEPTH}.
 */
export function sanitizeJson(value: unknown): Sanitized | undefined {
  const state = { changed: false };
  try {
    return { value: copy(value, 0, state), changed: state.changed };
  } catch (error) {
    if (error instanceof TooDeep) return undefined;
    throw error;
  }
}

/** The text without NUL and lone surrogates. */
export function sanitizeText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

function copy(value: unknown, depth: number, state: { changed: boolean }): unknown {
  if (typeof value === 'string') return clean(value, state);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) throw new TooDeep();
  if (Array.isArray(value)) return value.map((item) => copy(item, depth + 1, state));
  // fromEntries defines own properties: a key such as "__proto__" stays data
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [clean(key, state), copy(item, depth + 1, state)]),
  );
}

function clean(text: string, state: { changed: boolean }): string {
  const cleaned = sanitizeText(text);
  if (cleaned !== text) state.changed = true;
  return cleaned;
}
