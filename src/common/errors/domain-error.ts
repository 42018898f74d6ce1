/** What went wrong, in terms of the domain; the filters turn it into a status of HTTP or a frame of a socket. */
export type ErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'not_acceptable'
  | 'conflict'
  | 'precondition_failed'
  | 'too_large'
  | 'unsupported_media_type'
  | 'range'
  | 'too_many_requests'
  | 'unsupported'
  | 'unavailable'
  | 'internal';

/** One wrong field of the input. `field` is a path such as `metadata.a`. */
export interface FieldError {
  field: string;
  message: string;
}

/**
 * The only error that use cases throw on purpose. `code` is stable and for machines (`task.not_found`);
 * `message` is for people and says what to do; neither ever holds a secret, a path or SQL.
 */
export class DomainError extends Error {
  constructor(
    readonly kind: ErrorKind,
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown> & { errors?: FieldError[] } = {},
  ) {
    super(message);
    this.name = 'DomainError';
  }
}

/** `not_found` for `task`, `board`, …: the same answer for what does not exist and what is not yours to see. */
export function notFound(what: string): DomainError {
  return new DomainError(
    'not_found',
    `${what.replaceAll(' ', '_')}.not_found`,
    `There is no such ${what}, or it is not yours to see.`,
  );
}
