import { DomainError } from '../errors/domain-error.js';
import type { Refusal } from './principal.queries.js';
import { userGone } from './user-gone.js';

const TEXTS: Record<Exclude<Refusal, 'user_gone'>, string> = {
  account_disabled: 'This account has been disabled. Ask an administrator.',
  session_ended: 'This sign-in has been ended. Sign in again.',
  invalid_key: 'There is no such API key; it may have been revoked. Make a new one.',
  key_expired: 'This API key has expired. Make a new one.',
  invalid_ticket: 'This ticket has expired or was used before. Make a new one for each stream.',
};

/** Why somebody is not let in: `auth.user_gone`, `auth.account_disabled`, `auth.session_ended`, … (unauthenticated). */
export function refusal(reason: Refusal): DomainError {
  return reason === 'user_gone' ? userGone() : new DomainError('unauthenticated', `auth.${reason}`, TEXTS[reason]);
}

/** For an agent's key where agents have no business. */
export function agentKeyForbidden(): DomainError {
  return new DomainError(
    'forbidden',
    'auth.agent_key_forbidden',
    "An agent's own key is good for its messages and its task only. Sign in as a user for anything else.",
  );
}

/** For a key where its user has to come in person. */
export function sessionRequired(): DomainError {
  return new DomainError('forbidden', 'auth.session_required', 'An API key may not do this. Sign in with a password.');
}
