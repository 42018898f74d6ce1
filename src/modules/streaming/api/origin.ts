import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Whether a browser may open a socket: its page must come from this server, or from one of the configured origins.
 * Programs send no `Origin`; a page of somebody else's can't leave it out.
 */
export function isAllowedOrigin({ headers: { origin, host } }: IncomingMessage, allowed: readonly string[]): boolean {
  if (origin === undefined) return true;
  return URL.parse(origin)?.host === host?.toLowerCase() || allowed.includes(origin);
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
