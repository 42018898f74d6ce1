import { isUuid } from './id.decorator.js';
import { invalidRequest } from './validation-error.js';

/** Where a page of rows, newest first, ended. */
export interface Position {
  /** RFC 3339 UTC with milliseconds, as precise as the column. */
  created_at: string;
  id: string;
}

/** An opaque cursor for what comes after `last`. */
export function encodePosition({ created_at, id }: Position): string {
  return Buffer.from(`${created_at} ${id}`).toString('base64url');
}

/** @throws DomainError `request.invalid` for anything {@link encodePosition} didn't make */
export function decodePosition(cursor: string): Position {
  const [created_at = '', id, ...rest] = Buffer.from(cursor, 'base64url').toString().split(' ');
  const time = new Date(created_at);
  if (rest.length > 0 || !isUuid(id) || Number.isNaN(time.getTime()) || time.toISOString() !== created_at)
    throw wrongCursor();
  return { created_at, id };
}

/** An opaque cursor for the rows with a greater number than `id`. */
export function encodeNumber(id: number): string {
  return Buffer.from(String(id)).toString('base64url');
}

/** @throws DomainError `request.invalid` for anything {@link encodeNumber} didn't make */
export function decodeNumber(cursor: string): number {
  const digits = Buffer.from(cursor, 'base64url').toString();
  if (!/^\d{1,15}$/.test(digits)) throw wrongCursor();
  return Number(digits);
}

function wrongCursor() {
  return invalidRequest([{ field: 'cursor', message: 'must be the next_cursor of an earlier page of this list' }]);
}
