import type { Position } from './cursor.js';
import { encodePosition } from './cursor.js';

/** Which part of a list is asked for. */
export interface PageRequest {
  /** 1 to 200. */
  limit: number;
  /** Rows to skip; only without a cursor. */
  offset: number;
  cursor: string | null;
}

/** A part of a list, the number of all its rows, and where the next part starts. */
export interface Page<T> {
  items: T[];
  total: number;
  next_cursor: string | null;
}

/** A page from one row more than it may have: that one only tells that there is a next page. */
export function pageOf<T>(rows: T[], { limit }: PageRequest, total: number, cursorOf: (row: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, total, next_cursor: last !== undefined && rows.length > limit ? cursorOf(last) : null };
}

/** {@link pageOf} rows in order of creation. */
export function newestFirst<T extends Position>(rows: T[], request: PageRequest, total: number): Page<T> {
  return pageOf(rows, request, total, encodePosition);
}
