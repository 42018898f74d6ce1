import type { SessionFailure, SessionFailureCode } from '../../contracts/dialogue.types.js';
import { label, record, type Json } from './lenient.js';
import { MAX_ERROR_TEXT } from './limits.js';
import { rateLimitOf } from './rate-limit.js';
import type { AuthMethod } from './state.js';

/** JSON-RPC code of an agent that wants to know who pays. */
const AUTH_REQUIRED = -32000;

export function failure(code: SessionFailureCode, text: string): SessionFailure {
  return { code, text };
}

export function isAuthRequired(error: Json): boolean {
  return error['code'] === AUTH_REQUIRED;
}

/** An agent's error as people can read it: its message, and what its data add. */
export function errorText(error: Json): string {
  const message = label(error['message'], MAX_ERROR_TEXT) ?? 'an error without a text';
  const details = detailOf(error['data']);
  const isNew = details !== null && !message.includes(details);
  const code = typeof error['code'] === 'number' ? ` (${error['code']})` : '';
  return `${message}${isNew ? `: ${details}` : ''}${code}`;
}

function detailOf(data: unknown): string | null {
  const more = record(data);
  if (!more) return label(data, MAX_ERROR_TEXT);
  const told = ['details', 'message', 'error', 'reason'].map((name) => label(more[name], MAX_ERROR_TEXT));
  return told.find((one) => one !== null) ?? label(JSON.stringify(more), MAX_ERROR_TEXT);
}

/** The agent wants to be authenticated; with what it offers for that. */
export function authRequired(said: string, methods: readonly AuthMethod[]): SessionFailure {
  const ways = methods.map(({ id, name, variables }) => {
    const reads = variables.length > 0 ? `; reads ${variables.join(', ')}` : '';
    return `${name} (${id}${reads})`;
  });
  const offers = ways.length > 0 ? ` It offers: ${ways.join(' · ')}.` : '';
  return failure(
    'session.auth_required',
    `The agent wants to be authenticated: ${said}.${offers} Set the variables it reads in its agent type's ` +
      'environment_vars, or grant it credentials, and choose the way by auth_method if it does not find it itself.',
  );
}

/** What the agent's error means: that its provider takes no more for now, or what else `code` and `what` say. */
export function failureByError(code: SessionFailureCode, what: string, error: Json): SessionFailure {
  const said = `${what}: ${errorText(error)}.`;
  const limit = rateLimitOf(error);
  if (!limit) return failure(code, said);
  const { retry_after_seconds: seconds } = limit;
  if (seconds === null) return failure('session.rate_limited', `${said} Its provider takes no more requests for now.`);
  const text = `${said} Its provider takes no more requests for ${Math.ceil(seconds)} s.`;
  return { ...failure('session.rate_limited', text), retry_after_seconds: seconds };
}
