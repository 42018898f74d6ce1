/** An agent's JSON, read for what is there: whatever has another shape is as if it were absent. */
export type Json = Record<string, unknown>;

export function record(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
}

export function records(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter((item): item is Json => record(item) !== null) : [];
}

export function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A number from 0 up. */
export function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value + 0 : null; // + 0: -0 is no JSON
}

// C0, DEL and C1: they would grow sixfold as JSON, and do things to terminals.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]+/g;

/** Text for one line, cut to a number of characters; null for what is no text, or blank. */
export function label(value: unknown, max: number): string | null {
  if (typeof value !== 'string') return null;
  const line = cutText(value.replace(CONTROL, ' '), max).trim();
  return line === '' ? null : line;
}

/** A name that goes back to the agent as it is: whole or, where it is empty or has too many bytes as JSON, null. */
export function identifier(value: unknown, maxBytes: number): string | null {
  if (typeof value !== 'string' || value === '' || value.length > maxBytes) return null;
  return jsonBytes(value) <= maxBytes ? value : null;
}

/** The beginning of a text, no pair of surrogates broken. */
export function cutText(value: string, max: number): string {
  if (value.length <= max) return value;
  const isPair = (value.charCodeAt(max - 1) & 0xfc00) === 0xd800;
  return value.slice(0, isPair ? max - 1 : max);
}

export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

/** The value as it is after a way through JSON, or the beginning of its JSON where that is longer than `max`. */
export function rawOf(value: unknown, max: number): { value: unknown; cut: boolean } {
  const json = JSON.stringify(value ?? null);
  return json.length <= max ? { value: JSON.parse(json), cut: false } : { value: cutText(json, max), cut: true };
}

/** `12.3 KB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
