/** What each status means, for the API document. */
export const MEANING: Readonly<Record<number, string>> = {
  400: 'The request is malformed or has wrong fields',
  401: 'No valid access token',
  403: 'Your role does not allow this',
  404: 'It does not exist, or it is not yours to see',
  406: 'Nothing that the client takes can be answered',
  409: 'It conflicts with the present state',
  412: 'It has changed since the version in If-Match',
  413: 'The body is too large',
  415: 'The body is not JSON',
  416: 'There is nothing in that range',
  429: 'Too many requests; see Retry-After',
  500: 'The server failed',
  501: 'Not supported here',
  503: 'Something the server depends on is down',
};

/** Codes that every operation with the status can give, whatever it does itself. */
export const GENERAL_CODES: Readonly<Record<number, readonly string[]>> = {
  400: ['request.invalid', 'request.malformed'],
  406: ['request.not_acceptable'],
  413: ['request.too_large'],
  415: ['request.unsupported_media_type'],
  429: ['request.too_many'],
  500: ['server.error'],
};

/** Codes of a token or key that is missing, wrong or no longer good: of every operation that asks for one. */
export const TOKEN_CODES = [
  ...(['auth.required', 'auth.invalid_token', 'auth.token_expired', 'auth.session_ended', 'auth.user_gone'] as const),
  ...(['auth.account_disabled', 'auth.invalid_key', 'auth.key_expired', 'auth.agent_ended'] as const),
] as const;

/** What agents' own keys get where they are not let in. */
export const AGENT_KEY_CODE = 'auth.agent_key_forbidden';

/** What scripts' keys get where a person has to sign in. */
export const SESSION_CODE = 'auth.session_required';
