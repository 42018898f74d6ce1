import { LOG_LEVELS, type LogLevel, type MessageType } from '../../../common/acp/acp-message.js';
import type { MessageFilter } from '../../agent/contracts/agent.queries.js';
import type { StreamEntry } from './stream-entry.js';

export type { MessageFilter };

/** What a subscription may ask for. Absent: no such filter. */
export interface FilterWish {
  types?: readonly MessageType[];
  min_level?: LogLevel;
}

// Of six types and four levels there are some 300 filters: all are kept, so that the same filter is the same object.
const known = new Map<string, MessageFilter>();

/** The filter that was asked for: the same object for all that let the same pass; null where everything is wanted. */
export function filterOf({ types, min_level }: FilterWish): MessageFilter | null {
  if (!types && !min_level) return null;
  const filter = { types: types ? [...new Set(types)].toSorted() : null, min_level: min_level ?? null };
  const key = filterKey(filter);
  const same = known.get(key);
  if (same) return same;
  known.set(key, filter);
  return filter;
}

/** Whether the message is wanted. One without a level (progress, result, status) passes any `min_level`. */
export function passes(filter: MessageFilter, { type, level }: StreamEntry): boolean {
  if (filter.types && !filter.types.includes(type)) return false;
  if (filter.min_level === null || level === null) return true;
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(filter.min_level);
}

/** The same for filters that let the same pass. */
export function filterKey({ types, min_level }: MessageFilter): string {
  return `${types?.join(',') ?? '*'} ${min_level ?? '*'}`;
}
