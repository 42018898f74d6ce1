import { createClient } from './generated/client/index.js';
import { KandevApi } from './generated/sdk.gen.js';
import { toKandevError } from './kandev-error.js';
import { LiveSession, type Session } from './session.js';

export type * from './generated/types.gen.js';
export { KandevApi } from './generated/sdk.gen.js';
export { KandevError } from './kandev-error.js';
export { paginate } from './paginate.js';
export type { Session } from './session.js';
export * from './stream/index.js';

/** Where the server is, and who asks. Without any token only the operations that need none work. */
export interface KandevOptions {
  /** Of the server, such as `https://kandev.example.com`. */
  baseUrl: string;
  /** An access token or an API key. */
  token?: string;
  /** Asked for each request; in place of `token`. */
  getToken?: () => string | undefined | Promise<string | undefined>;
  /** A sign-in that is kept alive: an expired access token is exchanged and the request sent again. */
  session?: Session;
  /** Called with each new pair of tokens of `session`: the old ones are used up. */
  onSession?: (session: Session) => void | Promise<void>;
  /** In place of the global one. */
  fetch?: typeof globalThis.fetch;
}

/**
 * The API as methods: they return the answer's body and throw a `KandevError` for anything but success.
 *
 *     const kandev = createKandev({ baseUrl: 'http://127.0.0.1:8080', token });
 *     const board = await kandev.createBoard({ body: { name: 'Website' } });
 */
export function createKandev(options: KandevOptions): KandevApi {
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const send = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const { token, getToken, session, onSession } = options;
  const live = session && new LiveSession(session, `${baseUrl}/api/v1/auth/refresh`, send, onSession);
  const client = createClient({
    baseUrl,
    throwOnError: true,
    responseStyle: 'data',
    auth: () => live?.access_token ?? getToken?.() ?? token,
    fetch: live ? (request) => live.send(request as Request) : send,
  });
  client.interceptors.error.use((error, response) => toKandevError(error, response));
  return new KandevApi({ client });
}

/** Headers that let a request be sent again without doing anything twice: `{ headers: onceOnly() }`, kept for the retry. */
export function onceOnly(key: string = crypto.randomUUID()): { 'Idempotency-Key': string } {
  return { 'Idempotency-Key': key };
}

/** Headers that make a change only to this version of a thing: `{ headers: ifUnchanged(task) }`; else it is 412. */
export function ifUnchanged({ version }: { version: number }): { 'If-Match': string } {
  return { 'If-Match': `"${version}"` };
}
