import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';

/**
 * Whether a browser may open a socket: its page must come from this server, or from one of the configured origins.
 * Programs send no `Origin`; a page of somebody else's can't leave it out. The server's own origin is the `Host` that
 * was asked, with the port. The scheme counts where a proxy that is to be believed tells it: a server that is asked
 * in the clear can't know whether TLS ends somewhere in front of it. Nothing is lost by that: no page has credentials
 * that a browser sends by itself.
 */
export function isAllowedOrigin(
  { headers, socket }: IncomingMessage,
  allowed: readonly string[],
  behindProxy = false,
): boolean {
  const { origin, host } = headers;
  if (origin === undefined || allowed.includes(origin)) return true;
  const page = URL.parse(origin);
  // Also 'null', which pages in sandboxes and files send.
  if (!page || page.origin !== origin || host === undefined) return false;
  const told = [headers['x-forwarded-proto'] ?? []].flat().join(',').split(',').at(-1)?.trim();
  const isEncrypted = (socket as Partial<TLSSocket> | undefined)?.encrypted === true;
  const known = isEncrypted ? 'https' : behindProxy ? told : undefined;
  const schemes = known ? [known] : ['http', 'https'];
  return schemes.some((scheme) => URL.parse(`${scheme}://${host}`)?.origin === page.origin);
}

/** A middleware of engine.io that lets pages of allowed origins read what its polling transport answers them. */
export function shareWithOrigins(isAllowed: (request: IncomingMessage) => boolean) {
  return (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const { origin } = request.headers;
    if (origin !== undefined && isAllowed(request)) {
      response.setHeader('Access-Control-Allow-Origin', origin);
      response.setHeader('Vary', 'Origin');
    }
    if (request.method !== 'OPTIONS') return next();
    response.setHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type');
    response.writeHead(204).end();
  };
}
