import type { CredentialSource } from './credential-source.js';
import type { Provided } from './provided.js';

const MAX_BYTES = 256 * 1024; // thousands of lines
const NAME = '.git-credentials';
/** What some services want as the password where the user's name is the token. */
const NO_PASSWORD = new Set(['', 'x-oauth-basic']);

/** For the agent's git: reads only, because the store's own writing would fail on what is mounted read-only. */
const HELPER = '!f() { test "$1" = get && git credential-store --file "$HOME/.git-credentials" get; }; f';

/** `.git-credentials`, and a setting by which git looks there. */
export async function gitCredentials(source: CredentialSource): Promise<Provided | null> {
  const content = await readGitCredentials(source);
  if (!content) return null;
  return {
    kind: 'git_credentials',
    names: [NAME],
    files: [{ path: NAME, content }],
    environment: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'credential.helper', GIT_CONFIG_VALUE_0: HELPER },
    secrets: secretsIn(content.toString()),
  };
}

/** The file's content, or null. */
export async function readGitCredentials({ folder }: CredentialSource): Promise<Buffer | null> {
  return folder.read(NAME, { maxBytes: MAX_BYTES, secret: true });
}

/** Passwords and tokens of lines such as `https://user:password@host`, as they stand there and decoded. */
export function secretsIn(text: string): string[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const [, user = '', password = ''] = /^\w+:\/\/([^:@/]*)(?::([^@/]*))?@/.exec(line.trim()) ?? [];
    const secret = NO_PASSWORD.has(password) ? user : password;
    return secret === '' ? [] : [...new Set([secret, decoded(secret)])];
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
