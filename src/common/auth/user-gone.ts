import { DomainError } from '../errors/domain-error.js';

/** For a token that is sound, but whose account was deleted since. */
export function userGone(): DomainError {
  return new DomainError(
    'unauthenticated',
    'auth.user_gone',
    'The account of this access token is gone. Sign in with another one.',
  );
}
