/** A time as the API writes it, RFC 3339 UTC with milliseconds, from an entity's Date or a plain row's text. */
export function toTimestamp(value: Date | string): string;
export function toTimestamp(value: Date | string | null | undefined): string | null;
export function toTimestamp(value: Date | string | null | undefined): string | null {
  return value === null || value === undefined ? null : new Date(value).toISOString();
}
