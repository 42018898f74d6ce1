import { isStorableText } from './text.js';

/** Keys that reach an object's prototype in careless hands; refused wherever JSON comes in. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

export interface JsonLimits {
  /** Levels, the object itself being the first. */
  max_depth: number;
  /** Of all objects inside, together. */
  max_keys: number;
  /** As JSON in UTF-8. */
  max_bytes: number;
}

/** What is wrong with a free-form JSON object, in words that follow its field's name. */
export function jsonObjectProblem(value: unknown, limits: JsonLimits): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be a JSON object';
  let keys = 0;
  // Level by level, not by recursion: what comes in may be deeper than our stack.
  let level: object[] = [value];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > limits.max_depth) return `must not be nested deeper than ${limits.max_depth} levels`;
    const next: object[] = [];
    for (const item of level) {
      if (!Array.isArray(item)) {
        const names = Object.keys(item);
        keys += names.length;
        if (keys > limits.max_keys) return `must not have more than ${limits.max_keys} keys`;
        const problem = names.map(keyProblem).find(Boolean);
        if (problem) return problem;
      }
      for (const child of Object.values(item) as unknown[]) {
        if (typeof child === 'object' && child !== null) next.push(child);
        else if (typeof child === 'string' && !isStorableText(child))
          return 'must not contain NUL or broken characters (lone surrogates)';
        else if (typeof child === 'number' && !Number.isFinite(child)) return 'must not contain numbers beyond 1.8e308';
      }
    }
    level = next;
  }
  if (Buffer.byteLength(JSON.stringify(value)) > limits.max_bytes)
    return `must not be larger than ${limits.max_bytes} bytes of JSON`;
  return undefined;
}

function keyProblem(key: string): string | undefined {
  if (FORBIDDEN_KEYS.has(key)) return `must not have a key ${key}`;
  return isStorableText(key) ? undefined : 'must not have keys with NUL or broken characters (lone surrogates)';
}
