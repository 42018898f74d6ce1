import type { BlockList } from 'node:net';
import { hostName } from './host-name.js';
import { NameLookup } from './name-lookup.js';
import { isMetadata, plainAddress, toList, whyNotPublic } from './special-addresses.js';

const RESOLVE_WITHIN_MS = 5_000; // two tries of a slow name server; people wait for it

/** A host that must not, or can't, be connected to. The message begins with the host's name and holds no address. */
export class HostRefused extends Error {
  constructor(
    readonly reason: 'not_public' | 'not_found' | 'timeout' | 'invalid',
    message: string,
  ) {
    super(message);
    this.name = 'HostRefused';
  }
}

/**
 * Where the server connects to for others: public addresses, and the ranges that its configuration allows besides.
 * Addresses of the clouds' metadata services have to be named there one by one, a range around them is not enough.
 */
export class AddressPolicy {
  private readonly allowed: BlockList;
  private readonly allowedSingly: BlockList;

  constructor(
    allowedRanges: readonly string[],
    private readonly names = new NameLookup(),
  ) {
    this.allowed = toList(allowedRanges);
    this.allowedSingly = toList(allowedRanges.filter((range) => /^([\d.]+\/32|.*:.*\/128)$/.test(range)));
  }

  /** Why an IP address must not be connected to, such as `a loopback address`; null when it may be. */
  check(address: string): string | null {
    const plain = plainAddress(address);
    if (plain === null) return 'no IP address in the usual notation';
    const exceptions = isMetadata(plain) ? this.allowedSingly : this.allowed;
    return exceptions.check(plain.text, plain.family) ? null : whyNotPublic(plain);
  }

  /**
   * The addresses of a host (a name, or an address, in brackets or not) that may be connected to, at least one. Connect
   * to one of these and resolve no second time: the second answer might be another.
   * @throws HostRefused
   */
  async resolve(host: string): Promise<string[]> {
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    const plain = plainAddress(bare);
    const found = plain ? [plain.text] : await this.lookUp(host);
    const problems = new Map(found.map((address) => [address, this.check(address)]));
    const permitted = found.filter((address) => problems.get(address) === null);
    if (permitted.length > 0) return permitted;
    const what = `${plain ? 'is' : 'resolves to'} ${problems.get(found[0] ?? '') ?? 'no address'}`;
    throw new HostRefused('not_public', `${host} ${what}, which KANDEV_ALLOWED_PRIVATE_RANGES does not allow`);
  }

  private async lookUp(host: string): Promise<string[]> {
    const name = hostName(host);
    if (name === null) throw new HostRefused('invalid', `${host.slice(0, 255)} is no name of a host`);
    const signal = AbortSignal.timeout(RESOLVE_WITHIN_MS);
    const found = await this.names.addresses(name, signal).catch(() => {
      throw new HostRefused('timeout', `${host} could not be resolved within ${RESOLVE_WITHIN_MS / 1000} s`);
    });
    if (found.length === 0) throw new HostRefused('not_found', `${host} could not be resolved: no such name`);
    return found;
  }
}
