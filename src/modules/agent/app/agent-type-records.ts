import type { Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import type { RetryPolicy } from '../../../common/retries/retry-policy.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { CredentialMount, NetworkMode, Protocol, ResourceLimits, Runtime } from '../contracts/agent.types.js';
import type { AgentType } from '../domain/agent-type.entity.js';
import { maskVariables } from '../domain/environment.js';
import type { AgentDB } from './agent-rows.js';

/** What an administrator says of an agent type. A version keeps exactly this. */
export interface AgentTypeFields {
  description: string | null;
  docker_image: string;
  docker_tag: string;
  command: string[] | null;
  runtime: Runtime;
  protocol: Protocol;
  default_resources: ResourceLimits;
  environment_vars: Record<string, string>;
  capabilities: string[];
  mounts: CredentialMount[];
  network: NetworkMode;
  allowed_hosts: string[];
  /** Seconds; null: the server's own setting. */
  inactivity_timeout_seconds: number | null;
  wall_clock_timeout_seconds: number | null;
  /** What the host has to have on its list, all of it. */
  host_labels: string[];
  /** Null: the server's own settings. */
  retry_policy: RetryPolicy | null;
  enabled: boolean;
}

export interface AgentTypeView extends AgentTypeFields {
  id: string;
  name: string;
  version: number;
  created_at: string;
  updated_at: string;
}

/** An agent type as it was in one version. */
export interface AgentTypeVersionView {
  version: number;
  definition: AgentTypeFields;
  /** Null for what came with the server. */
  changed_by: string | null;
  created_at: string;
}

/** The row itself, or the entity. */
type Row = { [K in keyof Selectable<AgentDB['agent_types']>]: AgentType[K] | Selectable<AgentDB['agent_types']>[K] };

type Written = Omit<Row, 'id' | 'name' | 'version' | 'created_at' | 'updated_at'>;
/** Versions from before there were these fields have none of them. */
type Newer =
  | ('network' | 'allowed_hosts' | 'inactivity_timeout_seconds' | 'wall_clock_timeout_seconds')
  | ('host_labels' | 'retry_policy');

/** All that can be written, of a row, an entity, or a version's `definition`; what is absent there as its default. */
export function definitionOf(row: Omit<Written, Newer> & Partial<Pick<Written, Newer>>): AgentTypeFields {
  const { docker_image, docker_tag, runtime, protocol, default_resources, enabled } = row;
  return {
    description: row.description ?? null,
    ...{ docker_image, docker_tag, runtime, protocol, default_resources, enabled },
    command: row.command ?? null,
    environment_vars: row.environment_vars ?? {},
    capabilities: row.capabilities ?? [],
    mounts: row.mounts ?? [],
    // Agents of earlier versions had no network at all.
    network: row.network ?? 'none',
    allowed_hosts: row.allowed_hosts ?? [],
    inactivity_timeout_seconds: row.inactivity_timeout_seconds ?? null,
    wall_clock_timeout_seconds: row.wall_clock_timeout_seconds ?? null,
    host_labels: row.host_labels ?? [],
    retry_policy: row.retry_policy ?? null,
  };
}

export function toAgentTypeView(row: Row): AgentTypeView {
  const { id, name, version } = row;
  return {
    ...{ id, name, version },
    ...definitionOf(row),
    created_at: toTimestamp(row.created_at),
    updated_at: toTimestamp(row.updated_at),
  };
}

/** Values that administrators have written into the environment are theirs to see; references to the host's are not secret. */
export function forActor<T extends AgentTypeFields>(actor: Actor, fields: T): T {
  if (isAdmin(actor)) return fields;
  return { ...fields, environment_vars: maskVariables(fields.environment_vars) };
}

/** @throws DomainError `agent_type.forbidden` */
export function requireAdmin(actor: Actor): void {
  if (isAdmin(actor)) return;
  throw new DomainError('forbidden', 'agent_type.forbidden', 'Only administrators change agent types.');
}

function isAdmin({ role }: Actor): boolean {
  return role === 'admin' || role === 'system';
}
