import { BlockList, isIP } from 'node:net';

/** Ranges that no public host has, and what to call an address of each. */
const NOT_PUBLIC: readonly (readonly [range: string, what: string])[] = [
  ['0.0.0.0/8', 'an unspecified address'],
  ['10.0.0.0/8', 'a private address'],
  ['100.64.0.0/10', "an address of a provider's own network"],
  ['127.0.0.0/8', 'a loopback address'],
  ['169.254.0.0/16', 'a link-local address'],
  ['172.16.0.0/12', 'a private address'],
  ['192.0.0.0/24', 'a reserved address'],
  ['192.0.2.0/24', 'an address for documentation'],
  ['192.88.99.0/24', 'a reserved address'],
  ['192.168.0.0/16', 'a private address'],
  ['198.18.0.0/15', 'an address for benchmarks'],
  ['198.51.100.0/24', 'an address for documentation'],
  ['203.0.113.0/24', 'an address for documentation'],
  ['224.0.0.0/4', 'a multicast address'],
  ['255.255.255.255/32', 'a broadcast address'],
  ['240.0.0.0/4', 'a reserved address'],
  ['::/128', 'an unspecified address'],
  ['::1/128', 'a loopback address'],
  ['fc00::/7', 'a private address'],
  ['fe80::/10', 'a link-local address'],
  ['fec0::/10', 'a private address'],
  ['ff00::/8', 'a multicast address'],
  ['2001::/23', 'a reserved address'], // Teredo among them: an IPv4 address in disguise
  ['2001:db8::/32', 'an address for documentation'],
  ['3fff::/20', 'an address for documentation'],
];

/** All that has been given out of IPv6 for public use. */
const PUBLIC_IPV6 = '2000::/3';

/** Where clouds answer with credentials. Two of them lie in no special range, and any may lie in an allowed one. */
const METADATA: readonly string[] = [
  '169.254.169.254',
  '169.254.170.2',
  '168.63.129.16',
  '100.100.100.200',
  'fd00:ec2::254',
  'fd20:ce::254',
];

export type Family = 'ipv4' | 'ipv6';

/** An IP address in its one plain form. */
export interface PlainAddress {
  text: string;
  family: Family;
}

const named = NOT_PUBLIC.map(([range, what]) => ({ list: toList([range]), what }));
const publicIpv6 = toList([PUBLIC_IPV6]);
const metadata = new BlockList();
for (const address of METADATA) metadata.addAddress(address, familyOf(address));

/** A list of ranges such as `10.0.0.0/8`. */
export function toList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    list.addSubnet(address, Number(bits), familyOf(address));
  }
  return list;
}

/** The address in its plain form, an IPv4 one that is mapped into IPv6 as IPv4; null for what is no address. */
export function plainAddress(address: string): PlainAddress | null {
  const family = isIP(address);
  if (family === 4) return { text: address, family: 'ipv4' };
  if (family === 0 || address.includes('%')) return null; // a zone is of one machine
  const words = wordsOf(address);
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff)
    return { text: ipv4Of(words, 6), family: 'ipv4' };
  return { text: words.map((word) => word.toString(16)).join(':'), family: 'ipv6' };
}

/** Whether a cloud answers there with what only the host may know. */
export function isMetadata({ text, family }: PlainAddress): boolean {
  return metadata.check(text, family);
}

/** What the address is when it is not public, such as `a loopback address`; null for a public one. */
export function whyNotPublic(address: PlainAddress): string | null {
  if (isMetadata(address)) return 'an address that clouds keep for themselves';
  const found = named.find(({ list }) => list.check(address.text, address.family));
  if (found) return found.what;
  if (address.family === 'ipv4') return null;
  const carried = carriedIpv4(wordsOf(address.text));
  if (carried !== null) {
    const what = whyNotPublic({ text: carried, family: 'ipv4' });
    return what && `${what} in disguise`;
  }
  return publicIpv6.check(address.text, 'ipv6') ? null : 'a reserved address';
}

/** The IPv4 address that a translator (64:ff9b::/96) or 6to4 (2002::/16) would send it to. */
function carriedIpv4(words: readonly number[]): string | null {
  if (words[0] === 0x2002) return ipv4Of(words, 1);
  const isTranslated = words[0] === 0x64 && words[1] === 0xff9b && words.slice(2, 6).every((word) => word === 0);
  return isTranslated ? ipv4Of(words, 6) : null;
}

function ipv4Of(words: readonly number[], at: number): string {
  return words
    .slice(at, at + 2)
    .flatMap((word) => [word >> 8, word & 0xff])
    .join('.');
}

/** The eight parts of an IPv6 address. */
function wordsOf(address: string): number[] {
  // The URL class writes an IPv4 ending in hex too, which leaves only `::` to be filled in.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const first = parse(head);
  const last = parse(tail ?? '');
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}

function familyOf(address: string): Family {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}
