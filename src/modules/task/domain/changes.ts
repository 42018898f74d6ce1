import { isDeepStrictEqual } from 'node:util';

/** What a change did: the old and the new value of each field that became different. */
export type Changes = Record<string, { from: unknown; to: unknown }>;

/** Takes the given fields over; undefined ones stay as they are. Says which of them became different. */
export function assignChanges<T extends object>(target: T, patch: Partial<T>): Changes {
  const changes: Changes = {};
  for (const field of Object.keys(patch) as (keyof T & string)[]) {
    const from = target[field];
    const to = patch[field];
    if (to === undefined || isDeepStrictEqual(from, to)) continue;
    changes[field] = { from, to };
    target[field] = to;
  }
  return changes;
}
