import { plainHost } from '../../domain/allowed-hosts.js';

/** Where an agent's request wants to go. Nothing but the request line says it: a Host header is not looked at. */
export type RequestTarget =
  | { kind: 'api'; path: string }
  /** `host` is a name in plain form, or an address without brackets. */
  | { kind: 'tunnel'; host: string; port: number }
  | { kind: 'http'; host: string; port: number; authority: string; path: string }
  | { kind: 'unreadable'; why: string };

/** Where the bridge listens in the container: what is addressed there is meant for the server itself. */
const BRIDGE = /^(?:127\.0\.0\.1|localhost):3128$/;

/** `host:port` of CONNECT. An IPv6 address stands in brackets. */
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+):([1-9]\d{0,4})$/;

/** `http://host[:port]/path?query`; split by hand, because the URL class would tidy up what is then sent. */
const ABSOLUTE = /^http:\/\/(\[[0-9A-Fa-f:.]+\]|[^:[\]/?#@\\]+)(?::([1-9]\d{0,4}))?([/?][^#]*)?$/i;

/** Reads the target of a request line. */
export function requestTarget(method: string, url: string): RequestTarget {
  if (method === 'CONNECT') {
    const [, host = '', port = ''] = AUTHORITY.exec(url) ?? [];
    const to = place(host, port);
    return to ? { kind: 'tunnel', ...to } : unreadable('CONNECT needs a host and a port, such as example.com:443');
  }
  if (url.startsWith('/')) return { kind: 'api', path: url };
  const [, host = '', port, rest = ''] = ABSOLUTE.exec(url) ?? [];
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  const authority = port === undefined ? host : `${host}:${port}`;
  if (BRIDGE.test(authority)) return { kind: 'api', path };
  const to = place(host, port ?? '80');
  if (to === null) return unreadable('only http:// addresses and CONNECT are understood here');
  return { kind: 'http', ...to, authority: authorityOf(to), path };
}

function place(host: string, port: string): { host: string; port: number } | null {
  const plain = plainHost(host);
  const number = Number(port);
  return plain && number >= 1 && number <= 65_535 ? { host: plain.text, port: number } : null;
}

/** As it stands in a Host header. */
function authorityOf({ host, port }: { host: string; port: number }): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === 80 ? name : `${name}:${port}`;
}

function unreadable(why: string): RequestTarget {
  return { kind: 'unreadable', why };
}

/** Whether an agent's own key is good for it: its own messages, its own task. Nothing else of the API is shown to it. */
export function isOwnOperation(method: string, path: string, own: { agent_id: string; task_id: string }): boolean {
  const [resource] = path.split('?', 1); // compared as it is: an escaped or dotted path is another one, and refused
  if (resource === `/api/v1/agents/${own.agent_id}/messages`) return method === 'POST';
  return resource === `/api/v1/tasks/${own.task_id}` && (method === 'GET' || method === 'HEAD');
}
