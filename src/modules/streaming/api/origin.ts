import type { IncomingMessage } from 'node:http';

/**
 * Whether a browser may open a socket: its page must come from this server. Programs send no `Origin`; a page of
 * somebody else's can't leave it out.
 */
export function isAllowedOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
  if (origin === undefined) return true;
  return URL.parse(origin)?.host === host?.toLowerCase();
}
