import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitCredentials } from '../../domain/credentials.js';
import type { CredentialSource } from './credential-source.js';
import { environmentFile } from './environment-file.js';
import { readGitCredentials, secretsIn } from './git-credentials.js';
import { isSocket } from './ssh-agent.js';
import { knownHosts, privateKeys } from './ssh-keys.js';

/** Tokens that open a service's repositories over https, with the user's name that the service wants beside it. */
const TOKENS = [
  { variable: 'GITHUB_TOKEN', host: 'github.com', username: 'x-access-token' },
  { variable: 'GITLAB_TOKEN', host: 'gitlab.com', username: 'oauth2' },
] as const;

/** What git was given, by name, for the audit log. */
export interface GitAccess extends GitCredentials {
  used: { kind: string; names: string[] }[];
}

/**
 * What the host's git may use: keys and files where they lie, and tokens through its environment, never on a command
 * line. Without a source it has nothing, not even what lies in the home of the server's own account.
 */
export async function gitAccess(
  source: CredentialSource | null,
  server: { environment: Readonly<Record<string, string | undefined>>; hostsFolder: string },
  user: string,
): Promise<GitAccess> {
  const lines: [key: string, value: string][] = [['credential.helper', '']]; // forgets those that were named before
  const environment: Record<string, string> = { HOME: '/nonexistent', SSH_AUTH_SOCK: '' };
  const access: GitAccess = { environment, secrets: [], used: [] };
  const ssh = await sshOptions(source, join(server.hostsFolder, user), access);
  environment['GIT_SSH_COMMAND'] = ['ssh', ...ssh.map(quoted)].join(' ');
  const stored = source && (await readGitCredentials(source));
  if (source && stored) {
    const file = quoted(join(source.folder.path, '.git-credentials'));
    // Reads only: the store's own writing would strike out what a server has refused once.
    lines.push(['credential.helper', `!f() { test "$1" = get && git credential-store --file ${file} get; }; f`]);
    access.secrets.push(...secretsIn(stored.toString()));
    access.used.push({ kind: 'git_credentials', names: ['.git-credentials'] });
  }
  const own = source?.from === 'user' ? await environmentFile(source.folder) : new Map<string, string>();
  for (const { variable, host, username } of TOKENS) {
    const token = source?.from === 'server' ? server.environment[variable] : own.get(variable);
    if (!token) continue;
    environment[`KANDEV_${variable}`] = token;
    // The shell's own printf: the token is on no command line.
    const say = `printf 'username=%s\\npassword=%s\\n' ${username} "$KANDEV_${variable}"`;
    lines.push([`credential.https://${host}.helper`, `!f() { test "$1" = get && ${say}; }; f`]);
    access.secrets.push(token);
    access.used.push({ kind: 'environment', names: [variable] });
  }
  environment['GIT_CONFIG_COUNT'] = String(lines.length);
  lines.forEach(([key, value], index) => {
    environment[`GIT_CONFIG_KEY_${index}`] = key;
    environment[`GIT_CONFIG_VALUE_${index}`] = value;
  });
  return access;
}

/** Everything is named: ssh takes no key, agent, host or setting from the home of the server's own account. */
async function sshOptions(source: CredentialSource | null, hostsFile: string, access: GitAccess): Promise<string[]> {
  const keys = source ? await privateKeys(source) : [];
  const agent = source?.agent_socket && (await isSocket(source.agent_socket)) ? source.agent_socket : null;
  if (keys.length > 0) access.used.push({ kind: 'ssh_keys', names: keys.map(({ name }) => `.ssh/${name}`) });
  if (agent !== null) access.used.push({ kind: 'ssh_agent', names: ['ssh-agent'] });
  access.secrets.push(...keys.map(({ content }) => content.toString('latin1')));
  const known = source && (await knownHosts(source)) ? join(source.folder.path, '.ssh', 'known_hosts') : null;
  // Who knows hosts is never asked to trust another; who knows none trusts each at first sight, and then that one.
  if (known === null) await mkdir(join(hostsFile, '..'), { recursive: true, mode: 0o700 });
  const options = [
    ...['BatchMode=yes', 'ConnectTimeout=30', `StrictHostKeyChecking=${known === null ? 'accept-new' : 'yes'}`],
    `UserKnownHostsFile=${inOption(known ?? hostsFile)}`,
    `IdentityAgent=${agent === null ? 'none' : inOption(agent)}`,
    // With an agent all of its keys may be tried, besides the files.
    `IdentitiesOnly=${agent === null ? 'yes' : 'no'}`,
  ];
  const files = source ? keys.map(({ name }) => join(source.folder.path, '.ssh', name)) : [];
  // A file without a key: where none is named, ssh takes those of the server's account.
  const identities = files.length > 0 ? files : ['/dev/null'];
  return [
    '-F',
    '/dev/null',
    ...options.flatMap((option) => ['-o', option]),
    ...identities.flatMap((file) => ['-i', file]),
  ];
}

/** For the shell that git hands its commands to. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** For ssh, which takes an option apart at white space and replaces `%`. */
function inOption(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}
