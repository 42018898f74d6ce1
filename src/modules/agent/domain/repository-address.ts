import { gitBranchProblem } from '../../../common/validation/git-branch.js';
import { repositoryUrlProblem } from '../../../common/validation/repository-url.js';
import { AttemptFailure } from './outcome.js';

/** What a server allows to be cloned. */
export interface RepositoryPolicy {
  allow_local_repositories: boolean;
}

/** An address taken apart. */
export type RepositoryAddress =
  | { transport: 'local'; path: string }
  | {
      transport: 'http' | 'https' | 'ssh' | 'git';
      /** As it is written in the address, without brackets; for HTTP as browsers read it (`0x7f.1` is `127.0.0.1`). */
      host: string;
      port: number;
      /** From the first slash on; of `user@host:path` the path. */
      path: string;
      /** Whether the address names another port than the transport's own. */
      own_port: boolean;
    };

const PORTS = { http: 80, https: 443, ssh: 22, git: 9418 } as const;
const SCP_LIKE = /^([^/@\s]+)@(\[[^\]]+\]|[^:[\]\s]+):(.+)$/;

/**
 * Refuses an address that git would take for something else than a repository (an option, a transport that runs a
 * command), one with a password in it, and a path of this machine where those are not allowed.
 * @throws AttemptFailure `workspace.repository_refused`
 */
export function checkRepositoryAddress(url: string, policy: RepositoryPolicy): void {
  const problem = repositoryUrlProblem(url);
  if (problem) throw refused(`it ${problem}`);
  if (parseRepositoryAddress(url).transport === 'local' && !policy.allow_local_repositories) {
    throw refused('this server does not clone from paths of its own machine (KANDEV_ALLOW_LOCAL_REPOSITORIES)');
  }
}

/** Takes an address apart that {@link checkRepositoryAddress} has let through. */
export function parseRepositoryAddress(url: string): RepositoryAddress {
  if (url.startsWith('/')) return { transport: 'local', path: url };
  const scp = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(url) ? null : SCP_LIKE.exec(url);
  if (scp) return { transport: 'ssh', host: unbracketed(scp[2] ?? ''), port: 22, path: scp[3] ?? '', own_port: false };
  if (!URL.canParse(url)) throw refused('it is not an address');
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const transport = protocol.slice(0, -1);
  if (transport === 'file') return { transport: 'local', path: decoded(pathname) };
  if (!isTransport(transport)) throw refused('use https://, ssh://, git:// or user@host:path');
  const number = port === '' ? PORTS[transport] : Number(port);
  const own_port = number !== PORTS[transport];
  return { transport, host: unbracketed(hostname), port: number, path: pathname + search, own_port };
}

/** The same for every way to write one address, as far as that is certain: case of the host, default port, slashes at the end. */
export function normalizedAddress(url: string): string {
  const address = parseRepositoryAddress(url);
  if (address.transport === 'local') return `file://${trimmed(address.path)}`;
  const { transport, host, port } = address;
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(url))
    return `${url.slice(0, url.indexOf('@'))}@${host.toLowerCase()}:${trimmed(address.path)}`;
  const { username } = new URL(url);
  return `${transport}://${username === '' ? '' : `${username}@`}${host.toLowerCase()}:${port}${trimmed(address.path)}`;
}

/** Refuses a branch that git would take for an option or that no branch can be called. */
export function checkBranch(branch: string): void {
  const problem = gitBranchProblem(branch);
  if (problem) throw new AttemptFailure('workspace.repository_refused', `The branch is refused: its name ${problem}.`);
}

function refused(why: string): AttemptFailure {
  return new AttemptFailure('workspace.repository_refused', `The repository address is refused: ${why}.`);
}

function isTransport(name: string): name is keyof typeof PORTS {
  return Object.hasOwn(PORTS, name);
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

function trimmed(path: string): string {
  return path.replace(/(?<=.)\/+$/, '');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
