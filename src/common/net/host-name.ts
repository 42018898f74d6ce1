import { domainToASCII } from 'node:url';

const MAX_LENGTH = 253; // of DNS
const LABEL = /^(?!-)[a-z0-9_-]{1,63}$/; // with `_`, which names of services inside networks have
/** A last part that some programs read as a number, and the whole as an IPv4 address: `0x7f.1`, `2130706433`. */
const NUMBER = /^(\d+|0x[0-9a-f]*)$/;

/** The name in lower case and ASCII, without a dot at its end; null for what is none, or might be read as an address. */
export function hostName(text: string): string | null {
  // The URL rules would decode some of these and stop at others.
  if (/[\x00-\x20\x7f%/\\?#@:[\]<>^|]/.test(text)) return null;
  const name = domainToASCII(text).replace(/\.$/, '');
  const labels = name.split('.');
  if (name.length > MAX_LENGTH || !labels.every((label) => LABEL.test(label))) return null;
  return NUMBER.test(labels.at(-1) ?? '') ? null : name;
}
