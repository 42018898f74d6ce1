import { sanitizeJson } from '../../../../common/acp/sanitize.js';
import { jsonBytes, record, text, type Json } from './lenient.js';
import { MAX_BATCH, MAX_ID_BYTES } from './limits.js';

/** What an agent wrote, as JSON-RPC. `id_json` is the id of its request as JSON; null where it has none to answer. */
export type Incoming =
  | { is: 'request'; id_json: string; method: string; params: unknown }
  | { is: 'notification'; method: string; params: unknown }
  | { is: 'response'; id: number | null; result: unknown; error: Json | null; raw: unknown }
  | { is: 'invalid'; id_json: string | null; raw: unknown };

/**
 * A frame that nests deeper is kept to this depth: parameters take four levels of it, and a message that holds what is
 * left has to stay within what can be stored.
 */
const MAX_FRAME_DEPTH = 24;

/**
 * The frames of a line: one, or those of a batch, of which the first are taken; `count` says how many there are. Null
 * for what is no JSON-RPC. Everything in them can be stored.
 */
export function framesOf(line: string): { frames: Incoming[]; count: number } | null {
  const start = line.trimStart();
  if (!start.startsWith('{') && !start.startsWith('[')) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  const all = Array.isArray(parsed) ? parsed : [parsed];
  if (all.length === 0 || !all.every(isFrame)) return null;
  return { frames: all.slice(0, MAX_BATCH).map(incoming), count: all.length };
}

/** Some agents leave the version out; then only what can be nothing else counts: others log JSON. */
function isFrame(value: unknown): value is Json {
  const frame = record(value);
  if (!frame) return false;
  if (frame['jsonrpc'] === '2.0') return true;
  if ('jsonrpc' in frame) return false;
  const { id, method } = frame;
  if (typeof method === 'string') return method.startsWith('session/');
  return typeof id === 'number' && ('result' in frame || record(frame['error']) !== null);
}

function incoming(frame: Json): Incoming {
  const idJson = idOf(frame['id']); // before its text is made storable: it goes back as it came
  const raw = storable(frame);
  const { id, method, params } = raw;
  if (typeof method === 'string') {
    if (id === undefined || id === null) return { is: 'notification', method, params };
    return idJson === null ? { is: 'invalid', id_json: null, raw } : { is: 'request', id_json: idJson, method, params };
  }
  if (method !== undefined) return { is: 'invalid', id_json: idJson, raw };
  return { is: 'response', id: ownId(id), result: raw['result'], error: errorOf(raw['error']), raw };
}

/** An error that is no object is one all the same. */
function errorOf(error: unknown): Json | null {
  if (error === undefined || error === null) return null;
  return record(error) ?? { message: JSON.stringify(error) };
}

function idOf(id: unknown): string | null {
  // A number that a double can't hold exactly would come back as another one.
  const isSound = typeof id === 'number' ? Number.isFinite(id) && !isInexact(id) : typeof id === 'string';
  if (!isSound || jsonBytes(id) > MAX_ID_BYTES) return null;
  return JSON.stringify(id);
}

function isInexact(id: number): boolean {
  return Number.isInteger(id) && !Number.isSafeInteger(id);
}

/** Ours are integers; some agents give them back as text. */
function ownId(id: unknown): number | null {
  if (typeof id === 'number') return id;
  const digits = text(id);
  return digits !== null && /^\d{1,15}$/.test(digits) ? Number(digits) : null;
}

function storable(frame: Json): Json {
  const flat = isDeeper(frame, MAX_FRAME_DEPTH) ? flattened(frame, MAX_FRAME_DEPTH) : frame;
  return sanitizeJson(flat)!.value as Json; // undefined only for what is too deep
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1));
}

function flattened(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return 'nested too deep';
  if (Array.isArray(value)) return value.map((item) => flattened(item, depth - 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, flattened(item, depth - 1)]));
}
