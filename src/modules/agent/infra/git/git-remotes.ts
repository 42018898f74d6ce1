import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { AddressPolicy, HostRefused } from '../../../../common/net/address-policy.js';
import { AttemptFailure } from '../../domain/outcome.js';
import {
  checkRepositoryAddress,
  parseRepositoryAddress,
  type RepositoryAddress,
} from '../../domain/repository-address.js';
import type { GitOptions } from './git.js';

/** How git reaches a repository: options before its command, the address, and what the call needs besides. */
export interface Reach {
  args: string[];
  /** Stands behind `--`. */
  address: string;
  options: Pick<GitOptions, 'network' | 'local' | 'env'>;
}

type Remote = Exclude<RepositoryAddress, { transport: 'local' }>;

/**
 * Addresses of repositories as git may use them: of hosts that it may connect to, pinned to the address that was
 * looked at, so that no second answer of a name server leads elsewhere.
 */
@Injectable()
export class GitRemotes {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly policy: AddressPolicy,
  ) {}

  /**
   * @throws AttemptFailure `workspace.repository_refused`; where the name is not known `workspace.clone_failed`, or
   *   `workspace.unreachable` when nobody could say
   */
  async reach(url: string, userId: string | null): Promise<Reach> {
    checkRepositoryAddress(url, this.config.agent);
    const remote = parseRepositoryAddress(url);
    if (remote.transport === 'local') return { args: [], address: url, options: { local: [remote.path] } };
    const [address] = await this.addresses(remote);
    const network = { user_id: userId };
    switch (remote.transport) {
      case 'ssh':
        return { args: [], address: url, options: { network: { ...network, ssh: sshOptions(remote, address) } } };
      case 'git':
        // Its daemon is told the name that was asked for: it may serve several.
        return {
          args: [],
          address: `git://${address === undefined ? url.slice('git://'.length) : `${bracketed(address)}:${remote.port}${remote.path}`}`,
          options: { network, env: { GIT_OVERRIDE_VIRTUAL_HOST: hostAndPort(remote) } },
        };
      default: {
        // As it was read here, so that nobody reads another host out of it.
        const { href } = new URL(url);
        const pin = `http.curloptResolve=${bracketed(remote.host)}:${remote.port}:${bracketed(address ?? '')}`;
        return { args: address === undefined ? [] : ['-c', pin], address: href, options: { network } };
      }
    }
  }

  /** Where to connect to; none where a proxy of the server's does that, and alone knows the name. */
  private async addresses(remote: Remote): Promise<string[]> {
    try {
      return await this.policy.resolve(remote.host.includes(':') ? `[${remote.host}]` : remote.host);
    } catch (error) {
      if (!(error instanceof HostRefused)) throw error;
      const unknown = error.reason === 'not_found' || error.reason === 'timeout';
      if (unknown && this.isProxied(remote)) return [];
      const missing = error.reason === 'timeout' ? 'workspace.unreachable' : 'workspace.clone_failed';
      const code = unknown ? missing : 'workspace.repository_refused';
      const text = unknown ? 'The repository could not be cloned' : 'The repository address is refused';
      throw new AttemptFailure(code, `${text}: ${error.message}.`);
    }
  }

  private isProxied({ transport }: Remote): boolean {
    const { https_proxy, http_proxy } = this.config.host_environment;
    return Boolean((transport === 'https' && https_proxy) || (transport === 'http' && http_proxy));
  }
}

/** The key of the host is still that of its name: `known_hosts` has it under that, with its port where that is its own. */
function sshOptions(remote: Remote, address: string | undefined): string[] {
  const alias = remote.own_port ? hostAndPort(remote) : remote.host;
  return [`-oHostName=${address ?? remote.host}`, `-oHostKeyAlias=${alias}`];
}

function hostAndPort({ host, port, own_port, transport }: Remote): string {
  if (!own_port) return bracketed(host);
  return transport === 'ssh' ? `[${host}]:${port}` : `${bracketed(host)}:${port}`;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
