import type { IncomingMessage } from 'node:http';

/** Headers that are about one connection, not about the message, and what would tell of the way it came. */
const NOT_PASSED_ON = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect'],
  ...['proxy-authorization', 'proxy-authenticate', 'proxy-authentication-info', 'host', 'content-length'],
  ...['forwarded', 'via', 'x-real-ip'],
]);
const OF_FORWARDING = /^x-forwarded-/;

/** What the server's own API gets to see of an agent's request. */
const FOR_API = new Set([
  ...['authorization', 'content-type', 'content-encoding', 'accept', 'accept-encoding', 'accept-language'],
  ...['idempotency-key', 'if-match', 'if-none-match', 'user-agent', 'x-correlation-id', 'x-request-id'],
]);

/** The headers of a request or an answer for the next connection: names and values by turns, as they were written. */
export function passedOn({ rawHeaders, headers }: IncomingMessage): string[] {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  return filter(rawHeaders, (name) => !NOT_PASSED_ON.has(name) && !OF_FORWARDING.test(name) && !named.has(name));
}

/** The headers of an agent's request for the server's own API. */
export function forApi({ rawHeaders }: IncomingMessage): string[] {
  return filter(rawHeaders, (name) => FOR_API.has(name));
}

/** How the body ends, said anew: what the parser has understood, and never both ways. */
export function framing({ headers }: IncomingMessage): string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked'];
  return headers['content-length'] === undefined ? [] : ['Content-Length', headers['content-length']];
}

function filter(rawHeaders: readonly string[], keep: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    if (keep(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}
