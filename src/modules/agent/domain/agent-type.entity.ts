import { defineEntity, p } from '@mikro-orm/postgresql';
import type { CredentialMount, NetworkMode, Protocol, ResourceLimits, Runtime } from '../contracts/agent.types.js';
import type { RetryPolicy } from '../../../common/retries/retry-policy.js';
import { imageReference } from './image-reference.js';

export const AgentTypeSchema = defineEntity({
  name: 'AgentType',
  tableName: 'agent_types',
  properties: {
    id: p.uuid().primary().defaultRaw('gen_random_uuid()'),
    name: p.string().length(100),
    description: p.text().nullable(),
    docker_image: p.string().length(255),
    docker_tag: p.string().length(100).default('latest'),
    /** Program and arguments; the image's own entrypoint and command where absent. */
    command: p.json<string[]>().nullable(),
    runtime: p.string().length(20).$type<Runtime>().default('docker'),
    protocol: p.string().length(40).$type<Protocol>().default('json-lines'),
    default_resources: p.json<ResourceLimits>(),
    /** `${NAME}` in a value takes the variable from the host's allow-list when the agent starts. */
    environment_vars: p.json<Record<string, string>>().nullable(),
    capabilities: p.json<string[]>().nullable(),
    /** Credentials of the host that the agent asks for; the workspace is always there. */
    mounts: p.json<CredentialMount[]>().defaultRaw(`'[]'`),
    network: p.string().length(20).$type<NetworkMode>().default('isolated'),
    /** `example.com`, `*.example.com`, `example.com:8443`; without a port 80 and 443. */
    allowed_hosts: p.json<string[]>().defaultRaw(`'[]'`),
    /** Seconds of silence after which an agent is ended; the server's own setting where absent. */
    inactivity_timeout_seconds: p.integer().nullable(),
    /** Seconds that an agent may run, pauses not counted; the server's own setting where absent. */
    wall_clock_timeout_seconds: p.integer().nullable(),
    /** What the host has to have on its list, all of it; such as `gpu`. */
    host_labels: p.json<string[]>().defaultRaw(`'[]'`),
    /** When its failed attempts are tried again; the server's own settings where absent. */
    retry_policy: p.json<RetryPolicy>().nullable(),
    enabled: p.boolean().default(true),
    version: p.integer().version().default(1),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
  },
  checks: [
    { name: 'agent_types_runtime_check', expression: "runtime in ('docker', 'process')" },
    { name: 'agent_types_protocol_check', expression: "protocol in ('json-lines', 'agent-client-protocol')" },
    { name: 'agent_types_network_check', expression: "network in ('none', 'isolated', 'allowlist', 'open')" },
    { name: 'agent_types_inactivity_timeout_check', expression: 'inactivity_timeout_seconds > 0' },
    { name: 'agent_types_wall_clock_timeout_check', expression: 'wall_clock_timeout_seconds > 0' },
  ],
});

/** A registered kind of agent: image, limits, environment, protocol. */
export class AgentType extends AgentTypeSchema.class {
  imageName(): string {
    return imageReference(this.docker_image, this.docker_tag);
  }
}
AgentTypeSchema.setClass(AgentType);
