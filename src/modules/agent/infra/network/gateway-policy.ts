import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { HostRefused, type AddressPolicy } from '../../../../common/net/address-policy.js';
import { matchesAllowedHost } from '../../domain/allowed-hosts.js';
import type { RefusalReport } from '../../domain/gateways.js';
import { Refusal, ToldRefusals } from './refusals.js';
import { isOwnOperation, requestTarget, type RequestTarget } from './request-target.js';

/** Where a request may go: connect to one of the addresses. */
export interface Way {
  kind: 'api' | 'http' | 'tunnel';
  addresses: readonly string[];
  port: number;
  /** As in a Host header. */
  authority: string;
  /** Of the request; empty for a tunnel. */
  path: string;
}

/** Who asks, and what it may reach. */
export interface GatewayOwner {
  agent_id: string;
  task_id: string;
  /** The agent's own: the only one that opens the API here. */
  api_key: string;
  allowed_hosts: readonly string[];
}

type Outside = Extract<RequestTarget, { host: string }>;

/** What one attempt may reach through its gateway. */
export class GatewayPolicy {
  private readonly refusals: ToldRefusals;

  constructor(
    private readonly owner: GatewayOwner,
    private readonly addresses: AddressPolicy,
    private readonly serverUrl: () => string,
    report?: RefusalReport,
  ) {
    this.refusals = new ToldRefusals(report);
  }

  /** @throws Refusal */
  async decide({ method = '', url = '', headers }: IncomingMessage): Promise<Way> {
    const target = requestTarget(method, url);
    switch (target.kind) {
      case 'api':
        return this.toApi(method, target.path, headers.authorization);
      case 'http':
      case 'tunnel':
        return this.toHost(target);
      case 'unreadable':
        throw new Refusal(400, target.why);
    }
  }

  private toApi(method: string, path: string, authorization: string | undefined): Way {
    if (!isOwnOperation(method, path, this.owner))
      throw new Refusal(403, 'of the API an agent reaches its own messages (POST) and its own task (GET)');
    // Another's key would be refused there as well: here it can't even be tried, or use up the limits of this machine.
    if (!isSame(authorization ?? '', `Bearer ${this.owner.api_key}`))
      throw new Refusal(401, "send the agent's own key: Authorization: Bearer <content of /run/kandev/api-key>");
    const { hostname, port, host } = new URL(this.serverUrl());
    const address = hostname.replace(/^\[(.*)\]$/, '$1').replace(/^0\.0\.0\.0$/, '127.0.0.1');
    return {
      ...{ kind: 'api', port: Number(port || 80), authority: host, path },
      addresses: address === 'localhost' ? ['127.0.0.1', '::1'] : [address === '::' ? '::1' : address],
    };
  }

  private async toHost(target: Outside): Promise<Way> {
    const { host, port, kind } = target;
    const name = host.includes(':') ? `[${host}]` : host;
    if (!matchesAllowedHost(this.owner.allowed_hosts, host, port)) {
      const to = kind === 'tunnel' ? `${name}:${port}` : target.authority;
      this.refusals.tell(host, `Refused a connection to ${to}: it is not in allowed_hosts of the agent type.`);
      throw new Refusal(403, `${to} is not in allowed_hosts of the agent type`);
    }
    try {
      const addresses = await this.addresses.resolve(host);
      const [authority, path] = kind === 'http' ? [target.authority, target.path] : [`${name}:${port}`, ''];
      return { kind, addresses, port, authority, path };
    } catch (error) {
      if (!(error instanceof HostRefused)) throw error;
      if (error.reason !== 'not_public') throw new Refusal(error.reason === 'timeout' ? 504 : 502, error.message);
      this.refusals.tell(host, `Refused a connection: ${error.message}.`);
      throw new Refusal(403, error.message);
    }
  }
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
