import { lookup, Resolver } from 'node:dns/promises';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';

const HOSTS_FILE = '/etc/hosts';
const QUERY_MS = 2_000; // for one server's answer; as long as its own resolver would wait for a slow one, roughly
const TRIES = 2;

interface HostsFile {
  stamp: string;
  addresses: ReadonlyMap<string, readonly string[]>;
}

/**
 * Addresses of a name: from the hosts file, from DNS, and where neither knows it from the system's own ways (search
 * domains and the like). DNS is asked without a thread of the pool: a name server that never answers, which may be an
 * agent's own, can hold up nobody else.
 */
export class NameLookup {
  private hosts: HostsFile = { stamp: '', addresses: new Map() };
  /** The system's own way takes a thread until it gives up by itself: one at a time. */
  private systemQueue: Promise<unknown> = Promise.resolve();

  /** With `servers` (`127.0.0.1:5353`) these are asked, and nothing else. */
  constructor(private readonly servers?: readonly string[]) {}

  /** All addresses, none when nobody knows the name. @throws the signal's reason */
  async addresses(name: string, signal: AbortSignal): Promise<string[]> {
    if (this.servers === undefined) {
      const known = await this.inHostsFile(name);
      if (known.length > 0) return known;
    }
    const found = await this.inDns(name, signal);
    signal.throwIfAborted();
    if (found.length > 0 || this.servers !== undefined) return found;
    return this.bySystem(name, signal);
  }

  private async inDns(name: string, signal: AbortSignal): Promise<string[]> {
    const resolver = new Resolver({ timeout: QUERY_MS, tries: TRIES }); // a new one knows today's resolv.conf
    if (this.servers) resolver.setServers(this.servers);
    const cancel = (): void => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
      return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  private async bySystem(name: string, signal: AbortSignal): Promise<string[]> {
    const answer = this.systemQueue.then(async () => {
      if (signal.aborted) return [];
      const found = await lookup(name, { all: true, order: 'verbatim' }).catch(() => []);
      return found.map(({ address }) => address);
    });
    this.systemQueue = answer;
    const aborted = new Promise<never>((_, reject) => {
      const stop = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', stop, { once: true });
      void answer.finally(() => signal.removeEventListener('abort', stop));
    });
    return Promise.race([answer, aborted]);
  }

  private async inHostsFile(name: string): Promise<string[]> {
    try {
      const { mtimeMs, size, ino } = await stat(HOSTS_FILE);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (this.hosts.stamp !== stamp) this.hosts = { stamp, addresses: parseHosts(await readFile(HOSTS_FILE, 'utf8')) };
    } catch {
      return []; // not every system has one
    }
    return [...(this.hosts.addresses.get(name.toLowerCase()) ?? [])];
  }
}

/** `address name name # comment` a line. */
export function parseHosts(text: string): Map<string, string[]> {
  const addresses = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      addresses.set(key, [...(addresses.get(key) ?? []), address]);
    }
  }
  return addresses;
}
