import { DomainError, type FieldError } from '../../../common/errors/domain-error.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';

/** `<task id>:<seq>`, as often as needed, separated by commas. */
export const POSITIONS =
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d{1,15}(,[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d{1,15})*$/;

/** Whether `Accept` lets `text/event-stream` through (RFC 9110, 12.5.1): the most specific range that fits decides. */
export function acceptsEvents(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const ranges = accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return { type, wanted: q === undefined || Number(q.slice(2)) > 0 };
  });
  const decisive = ['text/event-stream', 'text/*', '*/*'].map((type) => ranges.find((range) => range.type === type));
  return decisive.find((range) => range !== undefined)?.wanted ?? false;
}

/** @throws DomainError `request.not_acceptable` */
export function requireEvents(accept: string | undefined): void {
  if (acceptsEvents(accept)) return;
  const text = 'This is a stream: take text/event-stream, or open a WebSocket at the same address.';
  throw new DomainError('not_acceptable', 'request.not_acceptable', text);
}

/** The `seq` of a `Last-Event-ID` of one task's stream; undefined where there is none. @throws DomainError `request.invalid` */
export function lastSeq(header: string | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  if (!/^\d{1,15}$/.test(header)) throw invalidRequest([headerError('must be the id of an event of this stream')]);
  return Number(header);
}

/** Places in tasks, of an `after` or a `Last-Event-ID` of the global stream. @throws DomainError `request.invalid` */
export function lastPositions(header: string | undefined): Record<string, number> {
  if (header === undefined || header === '') return {};
  if (!POSITIONS.test(header)) throw invalidRequest([headerError('must be the id of an event of the global stream')]);
  return positionsOf(header);
}

/** Of a text that {@link POSITIONS} matches. */
export function positionsOf(text: string): Record<string, number> {
  return Object.fromEntries(text.split(',').map((pair) => [pair.slice(0, 36), Number(pair.slice(37))]));
}

function headerError(message: string): FieldError {
  return { field: 'Last-Event-ID', message };
}
