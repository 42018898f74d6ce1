/** States of an agent instance. The table's CHECK lists the same. */
export const AGENT_STATUSES = [
  'PENDING',
  'STARTING',
  'RUNNING',
  'PAUSED',
  'COMPLETED',
  'FAILED',
  'STOPPED',
  'LOST',
] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

/** Credentials of the host that an agent type may ask for, read-only. */
export const CREDENTIAL_MOUNTS = ['ssh_keys', 'gitconfig', 'git_credentials', 'ssh_agent'] as const;
export type CredentialMount = (typeof CREDENTIAL_MOUNTS)[number];

/** What an agent runs in. */
export const RUNTIMES = ['docker', 'process'] as const;
export type Runtime = (typeof RUNTIMES)[number];

/**
 * What an agent reaches over the network. `none`: nothing. `isolated`: the server's own API, as far as its key opens
 * it, and the hosts its agent type names, if any. `allowlist`: the same, and a list has to be there. `open`: everything.
 */
export const NETWORK_MODES = ['none', 'isolated', 'allowlist', 'open'] as const;
export type NetworkMode = (typeof NETWORK_MODES)[number];

/** What an agent speaks on its standard input and output. */
export const PROTOCOLS = ['json-lines', 'agent-client-protocol'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Limits as people write them: `"1.5"` cores, `"512m"`, `"10g"` (powers of 1024). */
export interface ResourceLimits {
  cpu_limit?: string;
  memory_limit?: string;
  disk_limit?: string;
}

/** An agent instance as other modules see it. */
export interface AgentInstanceView {
  id: string;
  run_id: string;
  task_id: string;
  attempt: number;
  status: AgentStatus;
  exit_code: number | null;
  failure_code: string | null;
  error_message: string | null;
  result_summary: string | null;
  /** What its provider has asked for: not again before so many seconds; null where it has not. */
  retry_after_seconds: number | null;
  started_at: string | null;
  stopped_at: string | null;
}
