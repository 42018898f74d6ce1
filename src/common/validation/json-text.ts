import { isUtf8 } from 'node:buffer';
import { DomainError } from '../errors/domain-error.js';
import { FORBIDDEN_KEYS } from './json-object.js';
import { invalidRequest } from './validation-error.js';

export const MAX_DEPTH = 32; // deeper than any body of ours, far from the stack's end (class-transformer recurses)
const MAX_VALUES = 10_000; // keys and elements; 500 tasks of a bulk change have some 1,000

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const [OPEN_ARRAY, CLOSE_ARRAY] = [0x5b, 0x5d];
const [OPEN_OBJECT, CLOSE_OBJECT] = [0x7b, 0x7d];

/**
 * The value of a JSON text that somebody sent. Caps are checked before anything is built: what is too deep or has too
 * many parts costs one look at its characters.
 * @throws DomainError `request.malformed` for what is no JSON in UTF-8, `request.invalid` for what is past the caps, or
 * has a key twice, or one that reaches a prototype
 */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8');
  const text = bytes.toString('utf8');
  const problem = capProblem(text);
  if (problem !== undefined) throw invalidRequest([{ field: 'body', message: problem }]);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformed('it is not JSON');
  }
}

/**
 * What is wrong with the JSON text, in words that follow its name; undefined when nothing is, or when it is no JSON.
 * Keeps one set of keys for each open object and no more than {@link MAX_DEPTH} of them.
 */
export function capProblem(text: string): string | undefined {
  const open: (Set<string> | null)[] = []; // null is an array
  let keys: Set<string> | null = null;
  let isKey = false;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at + 1);
        if (end === -1) return undefined;
        if (isKey && keys) {
          const key = keyOf(text.slice(at + 1, end));
          if (FORBIDDEN_KEYS.has(key)) return `must not have a key ${key}`;
          if (keys.has(key)) return `must not have a key twice: ${key.slice(0, 100)}`;
          keys.add(key);
        }
        at = end;
        break;
      }
      case COLON:
        isKey = false;
        break;
      case COMMA:
        isKey = keys !== null;
        values++;
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        if (open.length === MAX_DEPTH) return `must not be nested deeper than ${MAX_DEPTH} levels`;
        keys = text.charCodeAt(at) === OPEN_OBJECT ? new Set() : null;
        open.push(keys);
        isKey = keys !== null;
        values++;
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        open.pop();
        keys = open.at(-1) ?? null;
        isKey = false;
        break;
      default:
    }
    if (values > MAX_VALUES) return `must not have more than ${MAX_VALUES} keys and elements`;
  }
  return undefined;
}

/** Of the quote that ends the string; -1 when none does. Backslashes before a quote are counted once, so it is linear. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (end - 1 - backslashes >= from && text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return -1;
}

function keyOf(raw: string): string {
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw; // the whole will not parse either
  }
}

function malformed(why: string): DomainError {
  return new DomainError('invalid', 'request.malformed', `The body can't be read: ${why}.`);
}
