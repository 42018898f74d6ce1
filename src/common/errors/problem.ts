import { HttpException } from '@nestjs/common';
import { OptimisticLockError } from '@mikro-orm/core';
import { DomainError, type ErrorKind, type FieldError } from './domain-error.js';

/** Of an error answer's body. */
export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** Body of an error answer: RFC 9457 `application/problem+json`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: string;
  errors?: FieldError[];
  [extension: string]: unknown;
}

const STATUS: Record<ErrorKind, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  not_acceptable: 406,
  conflict: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  range: 416,
  too_many_requests: 429,
  unsupported: 501,
  unavailable: 503,
  internal: 500,
};

/** What HTTP calls the statuses. */
export const TITLE: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  406: 'Not Acceptable',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

/** Codes for what the framework itself refuses, before any use case is reached. */
const FRAMEWORK: Record<number, [ErrorKind, string]> = {
  400: ['invalid', 'request.malformed'],
  401: ['unauthenticated', 'auth.required'],
  403: ['forbidden', 'auth.forbidden'],
  404: ['not_found', 'route.not_found'],
  408: ['invalid', 'request.too_slow'],
  413: ['too_large', 'request.too_large'],
  414: ['not_found', 'route.not_found'], // a part of the path is longer than any id
  415: ['unsupported_media_type', 'request.unsupported_media_type'],
  429: ['too_many_requests', 'request.too_many'],
  431: ['too_large', 'request.headers_too_large'],
  503: ['unavailable', 'server.unavailable'],
};

/** Any thrown value as a {@link DomainError}; what we do not know becomes `internal`, without its text. */
export function toDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof OptimisticLockError) {
    return new DomainError(
      'conflict',
      'conflict.concurrent_update',
      'Somebody else changed it at the same moment. Read it again and retry.',
    );
  }
  const status =
    error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown } | null)?.statusCode;
  const refused = typeof status === 'number' && status >= 400 && status < 500;
  const known = typeof status === 'number' ? FRAMEWORK[refused && !(status in FRAMEWORK) ? 400 : status] : undefined;
  if (known) return new DomainError(known[0], known[1], frameworkText(status as number, error));
  return new DomainError(
    'internal',
    'server.error',
    'Something went wrong on our side. It is in the log under this correlation id.',
  );
}

/** The problem document for an error, for the path the client asked for. */
export function toProblem(error: DomainError, instance: string): Problem {
  const status = STATUS[error.kind];
  return {
    type: `urn:kandev:problem:${error.code}`,
    title: TITLE[status] ?? 'Error',
    status,
    detail: error.message,
    instance,
    code: error.code,
    ...error.details,
  };
}

function frameworkText(status: number, error: unknown): string {
  if (status === 404 || status === 414) return 'There is nothing at this address. The API is described at /docs.';
  if (status === 413) return 'The body is larger than the server takes.';
  if (status === 408) return 'The request did not arrive in time.';
  if (status === 431) return 'The address and headers of the request are larger than the server takes.';
  if (status === 415) return 'Send the body as application/json.';
  if (status === 400 && error instanceof Error && /json|body|param/i.test(error.message))
    return `The request can't be read: ${error.message}.`;
  return status === 400 ? "The request can't be read." : (TITLE[status] ?? 'Error');
}
