import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Counter } from 'prom-client';
import { AgentKeys } from '../../../../common/auth/agent-keys.js';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { AddressPolicy } from '../../../../common/net/address-policy.js';
import { Metrics } from '../../../../common/ops/metrics.js';
import { ServerAddress } from '../../../../common/ops/server-address.js';
import type { AgentInstance } from '../../domain/agent-instance.entity.js';
import type { AgentUser } from '../../domain/container-runtime.js';
import { Gateways, type RefusalReport } from '../../domain/gateways.js';
import { removeTree } from '../files/remove-tree.js';
import { Gateway } from './gateway.js';
import { GatewayPolicy } from './gateway-policy.js';
import { listenIn, removeSocket } from './gateway-socket.js';

const UUID = /^[0-9a-f-]{36}$/;

/** Gateways below `KANDEV_HOME/gateways`, one directory with one socket for each attempt. */
@Injectable()
export class HostGateways extends Gateways implements OnModuleDestroy {
  private readonly open_gateways = new Map<string, Promise<Gateway>>();
  private readonly directory: string;
  private readonly requests: Counter<'outcome'>;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly addresses: AddressPolicy,
    private readonly keys: AgentKeys,
    private readonly server: ServerAddress,
    metrics: Metrics,
  ) {
    super();
    this.directory = join(config.home, 'gateways');
    this.requests = new Counter({
      name: 'kandev_gateway_requests_total',
      help: 'Requests of agents to their gateways, by what became of them.',
      labelNames: ['outcome'],
      registers: [metrics.registry],
    });
  }

  path(agentId: string): string {
    if (!UUID.test(agentId)) throw new Error('not an agent id'); // it becomes a path
    return join(this.directory, agentId);
  }

  async open(instance: AgentInstance, _user: AgentUser, refused?: RefusalReport): Promise<string | null> {
    const { id, runtime, network } = instance;
    if (runtime !== 'docker' || network === 'none' || network === 'open') return null;
    let gateway = this.open_gateways.get(id);
    if (!gateway) {
      gateway = this.listen(instance, refused);
      this.open_gateways.set(id, gateway);
      gateway.catch(() => this.open_gateways.delete(id));
    }
    await gateway;
    return this.path(id);
  }

  async close(agentId: string): Promise<void> {
    const gateway = this.open_gateways.get(agentId);
    if (!gateway) return;
    this.open_gateways.delete(agentId);
    await (await gateway).close();
    await removeSocket(this.path(agentId));
  }

  async remove(agentId: string): Promise<void> {
    await this.close(agentId);
    await removeTree(this.path(agentId));
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.directory).catch(() => []);
    return names.filter((name) => UUID.test(name));
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.allSettled([...this.open_gateways.keys()].map((id) => this.close(id)));
  }

  private async listen({ id, task_id, allowed_hosts }: AgentInstance, refused?: RefusalReport): Promise<Gateway> {
    const owner = { agent_id: id, task_id, api_key: this.keys.of(id), allowed_hosts };
    const policy = new GatewayPolicy(owner, this.addresses, () => this.server.url, refused);
    const gateway = new Gateway(policy, (outcome) => this.requests.inc({ outcome }));
    await listenIn(gateway.server, this.path(id));
    return gateway;
  }
}
