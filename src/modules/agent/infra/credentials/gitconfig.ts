import type { CredentialSource } from './credential-source.js';
import type { Provided } from './provided.js';

const MAX_BYTES = 256 * 1024; // a person's settings
const PASSWORDS = [
  /:\/\/[^/\s:@]*:([^/\s@]+)@/g,
  /authorization:\s*\w+\s+([^\s"]+)/gi,
  /\b(?:token|password)\s*=\s*"?([^\s"]+)/gi,
];

/** `.gitconfig`, for the agent's git alone: the server's never reads it, because it may name programs to run. */
export async function gitconfig({ folder }: CredentialSource): Promise<Provided | null> {
  const content = await folder.read('.gitconfig', { maxBytes: MAX_BYTES, secret: false });
  if (!content) return null;
  const text = content.toString();
  const secrets = PASSWORDS.flatMap((pattern) => Array.from(text.matchAll(pattern), ([, secret = '']) => secret));
  return {
    kind: 'gitconfig',
    names: ['.gitconfig'],
    files: [{ path: '.gitconfig', content }],
    environment: {},
    secrets,
  };
}
