import { hostName } from '../../../common/net/host-name.js';
import { plainAddress } from '../../../common/net/special-addresses.js';

const MAX_LENGTH = 320; // the longest name, `*.` and a port, in characters of a script of its own
/** Ports of an entry that names none: HTTP and HTTPS. */
const DEFAULT_PORTS: readonly number[] = [80, 443];

interface AllowedHost {
  /** A name in lower case and ASCII, or an address in its plain form. */
  host: string;
  /** All names below `host`, but not `host` itself. */
  below: boolean;
  ports: readonly number[];
}

/**
 * What is wrong with an entry of `allowed_hosts`, in words that follow its field's name. Entries are `example.com`,
 * `*.example.com` (all names below it, at any depth, not itself), an IPv4 address or an IPv6 one in brackets, each
 * perhaps with `:port`. Without a port 80 and 443 are meant.
 */
export function allowedHostProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a text';
  if (value === '') return 'must not be empty';
  if (value.length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters`;
  if (value.includes('://')) return 'must be a host without a scheme such as https://';
  if (/[/?#@\\]/.test(value)) return 'must be a host without a path, query or user';
  if (value === '*') return 'must name a host; for all of them set network to open';
  const [, rest = '', port] = /^(.*?)(?::(\d*))?$/s.exec(value) ?? [];
  if (port !== undefined && !rest.includes(':') && !isPort(port))
    return 'must have a port from 1 to 65535 after the ":"';
  if (rest.startsWith('*.') && !rest.slice(2).replace(/\.$/, '').includes('.'))
    return 'must have a domain of at least two parts after "*."';
  if (rest.includes('*') && !/^\*\.[^*]+$/.test(rest)) return 'must not have a "*" but in front, as in *.example.com';
  return parse(value) ? undefined : 'must be a host such as example.com, *.example.com, example.com:8443 or 192.0.2.1';
}

/**
 * Whether a list of entries lets through to this host and port. An address is let through only where an entry is that
 * address: never because of a name.
 */
export function matchesAllowedHost(list: readonly string[], host: string, port: number): boolean {
  const wanted = plainHost(host);
  if (wanted === null) return false;
  return list.some((entry) => {
    const allowed = parse(entry);
    if (!allowed?.ports.includes(port)) return false;
    if (!allowed.below) return wanted.text === allowed.host;
    return !wanted.is_address && wanted.text.endsWith(`.${allowed.host}`);
  });
}

/** A host in its plain form: a name, or an address (an IPv6 one in brackets or not); null for neither. */
export function plainHost(host: string): { text: string; is_address: boolean } | null {
  const address = plainAddress(host.replace(/^\[(.*)\]$/s, '$1'));
  if (address) return { text: address.text, is_address: true };
  const name = hostName(host);
  return name === null ? null : { text: name, is_address: false };
}

/** Null for what is no entry. */
function parse(entry: string): AllowedHost | null {
  const [, star, text = '', port] = /^(\*\.)?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/s.exec(entry) ?? [];
  const host = plainHost(text);
  if (host === null || (port !== undefined && !isPort(port))) return null;
  if (star !== undefined && (host.is_address || !host.text.includes('.'))) return null;
  return { host: host.text, below: star !== undefined, ports: port === undefined ? DEFAULT_PORTS : [Number(port)] };
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535;
}
