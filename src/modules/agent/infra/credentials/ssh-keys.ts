import { join } from 'node:path';
import type { CredentialSource } from './credential-source.js';
import type { Provided, ProvidedFile } from './provided.js';

const FOLDER = '.ssh';
const PRIVATE_KEY_NAME = /^id_[\w.@-]+$/;
const PRIVATE_KEY = /^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\r?\n/;
const PUBLIC_KEY = /^(?:ssh|ecdsa|sk)-[\w@.-]+ [A-Za-z0-9+/=]+/;
const MAX_KEY_BYTES = 64 * 1024; // RSA with 16,384 bits has 13 KB
const MAX_KNOWN_HOSTS_BYTES = 1024 * 1024; // some ten thousand hosts
const MAX_KEYS = 20; // servers hang up after six that don't fit

/** `.ssh/id_*` that are private keys, their public halves, and `known_hosts`. Nothing else of that folder. */
export async function sshKeys(source: CredentialSource): Promise<Provided | null> {
  const keys = await privateKeys(source);
  if (keys.length === 0) return null;
  const files: ProvidedFile[] = [];
  for (const { name, content } of keys) {
    files.push({ path: join(FOLDER, name), content });
    const half = await source.folder.read(join(FOLDER, `${name}.pub`), { maxBytes: MAX_KEY_BYTES, secret: false });
    if (half && PUBLIC_KEY.test(half.toString('latin1')))
      files.push({ path: join(FOLDER, `${name}.pub`), content: half });
  }
  const hosts = await knownHosts(source);
  if (hosts) files.push({ path: join(FOLDER, 'known_hosts'), content: hosts });
  return {
    kind: 'ssh_keys',
    names: files.map(({ path }) => path),
    files,
    environment: {},
    secrets: keys.map(({ content }) => content.toString('latin1')),
  };
}

/** Private keys by name; one without a newline at its end gets it, because OpenSSH wants it. */
export async function privateKeys({ folder }: CredentialSource): Promise<{ name: string; content: Buffer }[]> {
  const keys: { name: string; content: Buffer }[] = [];
  for (const name of await folder.names(FOLDER)) {
    if (!PRIVATE_KEY_NAME.test(name) || name.endsWith('.pub') || keys.length === MAX_KEYS) continue;
    const content = await folder.read(join(FOLDER, name), { maxBytes: MAX_KEY_BYTES, secret: true });
    if (!content || !PRIVATE_KEY.test(content.toString('latin1'))) continue;
    keys.push({ name, content: content.at(-1) === 10 ? content : Buffer.concat([content, Buffer.from('\n')]) });
  }
  return keys;
}

/** The hosts that the user knows, or null. */
export async function knownHosts({ folder }: CredentialSource): Promise<Buffer | null> {
  return folder.read(join(FOLDER, 'known_hosts'), { maxBytes: MAX_KNOWN_HOSTS_BYTES, secret: false });
}
