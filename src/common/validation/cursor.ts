import { createHash } from 'node:crypto';
import { isUuid } from './id.decorator.js';
import type { DomainError } from '../errors/domain-error.js';
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

/** A short name of a list, from all that it is made by: what it lists, the order, the filters. JSON-safe values. */
export function listName(...parts: readonly unknown[]): string {
  // 66 bits: no two lists of one user meet by chance, and a cursor is no secret.
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 11);
}

/** An opaque cursor for what comes after the row with these values; of no use in another list. No value has a blank. */
export function encodeListCursor(list: string, values: readonly string[]): string {
  return Buffer.from([list, ...values].join(' ')).toString('base64url');
}

/** The values that {@link encodeListCursor} was given for this list, for the caller to check. @throws DomainError `request.invalid` */
export function decodeListCursor(list: string, cursor: string): string[] {
  const [name, ...values] = Buffer.from(cursor, 'base64url').toString().split(' ');
  if (name !== list) throw wrongCursor();
  return values;
}

/** The refusal of a cursor that the server did not make for this list. */
export function wrongCursor(): DomainError {
  return invalidRequest([
    { field: 'cursor', message: 'must be the next_cursor of an earlier page of this list, with the same filters' },
  ]);
}
