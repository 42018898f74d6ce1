import type { ValidationError } from 'class-validator';
import { DomainError, type FieldError } from '../errors/domain-error.js';

/** An answer names at most this many fields; the rest of a hopeless request needs no list. */
const MAX_ERRORS = 20;
const MAX_PATH_LENGTH = 100;

/** A refusal of the request for these fields: `request.invalid`. */
export function invalidRequest(errors: FieldError[]): DomainError {
  const fields = [...new Set(errors.map(({ field }) => field))];
  const detail =
    fields.length === 1 ? `${fields[0]}: ${errors[0]?.message}.` : `These fields are wrong: ${fields.join(', ')}.`;
  return new DomainError('invalid', 'request.invalid', detail, { errors });
}

/** class-validator's findings as a {@link DomainError}: dotted paths, texts for people. */
export function validationError(errors: ValidationError[]): DomainError {
  const found: FieldError[] = [];
  collect(errors, '', found);
  return invalidRequest(found.slice(0, MAX_ERRORS));
}

function collect(errors: ValidationError[], parent: string, found: FieldError[]): void {
  for (const { property, constraints = {}, children = [] } of errors) {
    if (found.length >= MAX_ERRORS) return;
    const path = parent ? `${parent}.${property}` : property;
    // One text a field is enough to act on; an unknown field has no other.
    const [first] = Object.entries(constraints);
    if (first) found.push({ field: path.slice(0, MAX_PATH_LENGTH), message: text(first[0], first[1], property) });
    collect(children, path, found);
  }
}

function text(constraint: string, message: string, property: string): string {
  if (constraint === 'whitelistValidation') return 'is not a known field';
  if (constraint === 'isObject') return 'must be a JSON object';
  return message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;
}
