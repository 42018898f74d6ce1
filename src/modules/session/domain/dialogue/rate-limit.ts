import { count, record, records, text, type Json } from './lenient.js';

/** What providers call it, in HTTP's words and in gRPC's. */
const LIMITED = /\b429\b|rate.?limit|too many requests|resource.?exhausted/i;
const HTTP_TOO_MANY = 429;
/** `retry in 34.5s`, `retry after 2 minutes`: as providers word it. */
const IN_WORDS = /\b(?:retry|try again)\s+(?:in|after)\s+(\d{1,9}(?:\.\d{1,9})?)\s*(ms|m|h|s)?/i;
/** `retryDelay` of gRPC: seconds with their unit. */
const IN_SECONDS = /^(\d{1,9}(?:\.\d{1,9})?)s?$/;
const UNIT: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 };
/** In an agent's data errors lie in errors; nobody goes deeper than this. */
const MAX_DEPTH = 4;

/**
 * An agent's error that says that its model takes no more requests for now, and for how many seconds; null for
 * another error. `retry_after_seconds` is null where nobody says.
 */
export function rateLimitOf(error: Json): { retry_after_seconds: number | null } | null {
  const after = asked(error, MAX_DEPTH);
  const said = text(error['message']) ?? '';
  if (after === null && !isLimit(error, MAX_DEPTH)) return null;
  return { retry_after_seconds: after ?? inWords(said) };
}

function isLimit(error: Json, depth: number): boolean {
  const codes = [error['code'], error['status'], error['statusCode']];
  if (codes.some((code) => code === HTTP_TOO_MANY || code === 'RESOURCE_EXHAUSTED')) return true;
  if ([error['message'], error['details'], error['data']].some((said) => LIMITED.test(text(said) ?? ''))) return true;
  return depth > 0 && within(error).some((inner) => isLimit(inner, depth - 1));
}

/** By fields alone: in words only where it is a limit. */
function asked(error: Json, depth: number): number | null {
  for (const name of ['retry_after_seconds', 'retry_after', 'retryAfter', 'retry-after', 'retryDelay']) {
    const value = error[name];
    const seconds = count(value) ?? count(Number(IN_SECONDS.exec(text(value) ?? '')?.[1] ?? Number.NaN));
    if (seconds !== null) return seconds;
  }
  if (depth === 0) return null;
  for (const inner of within(error)) {
    const seconds = asked(inner, depth - 1);
    if (seconds !== null) return seconds;
  }
  return null;
}

function within(error: Json): Json[] {
  const inner = ['data', 'error', 'cause', 'headers'].map((name) => record(error[name]));
  return [...inner.filter((one): one is Json => one !== null), ...records(error['details'])];
}

function inWords(said: string): number | null {
  const [, amount, unit = 's'] = IN_WORDS.exec(said) ?? [];
  return amount === undefined ? null : Number(amount) * (UNIT[unit.toLowerCase()] ?? 1);
}
