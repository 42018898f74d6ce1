import type { NetworkMode, ResourceLimits, Runtime } from '../contracts/agent.types.js';
import type { ImageFacts } from './image-facts.js';
import type { Exit } from './outcome.js';
import type { ResourceUsage } from './resource-usage.js';
import type { SandboxReport } from './sandbox.js';

/** Where an agent in a container finds its task's checkout. */
export const WORKSPACE_TARGET = '/workspace';

/** All that is needed to make an agent's container or process. Paths are of the host, absolute. */
export interface LaunchSpec {
  agent_id: string;
  run_id: string;
  task_id: string;
  image_name: string;
  /** The resolved image; null for a process. */
  image_id: string | null;
  /** Null: what the image itself says. */
  command: string[] | null;
  environment: Record<string, string>;
  limits: ResourceLimits;
  /** Bytes that one file of the agent's may have; null: no limit. */
  max_file_bytes: number | null;
  workspace_directory: string;
  /** On disk, and under the same limit as the workspace. */
  home_directory: string;
  tmp_directory: string;
  run_directory: string;
  network: NetworkMode;
  /** Where the gateway's socket lies, mounted read-only; null with `none` and `open`. */
  gateway_directory: string | null;
  /** Credentials, mounted read-only. */
  credentials: CredentialFile[];
  user: AgentUser;
}

/** A file of the host that the agent may read. */
export interface CredentialFile {
  /** Of the host, absolute; a copy that belongs to the agent's user. */
  source: string;
  /** In the container, absolute. */
  target: string;
}

/** An image as it is on this host. */
export interface PreparedImage {
  /** What the name resolves to: the container is made from this. Null for a process. */
  image_id: string | null;
  /** `name@sha256:…`; null for an image that no registry knows. */
  image_digest: string | null;
}

/** Who the agent's processes run as, and who owns what they may write. */
export interface AgentUser {
  uid: number;
  gid: number;
}

/** What is to be seen of an agent's container or process. */
export type Observed =
  | { state: 'absent' }
  | { state: 'created'; container_id: string }
  | { state: 'running'; container_id: string; paused: boolean; health: ContainerHealth | null }
  | { state: 'exited'; container_id: string; exit: Exit };

/** What the image's own health check says. */
export type ContainerHealth = 'starting' | 'healthy' | 'unhealthy';

/** Tells people what goes on, in words; becomes a `progress` message where it has a percentage or details. */
export type ProgressReport = (message: string, progress?: ProgressDetails) => void;

export interface ProgressDetails {
  percent?: number;
  /** Further fields of the message, such as `layers_done`, `bytes_total`. */
  [detail: string]: string | number | undefined;
}

/**
 * Runs agents: in containers of an engine, or as plain processes. An agent is found again by its id alone, by any
 * server of the same home. Output goes to the run directory, never over a connection. Every method may be called
 * again after a kill at any point. Failures that a user should read are thrown as `AttemptFailure`.
 */
export abstract class ContainerRuntime {
  abstract readonly runtime: Runtime;

  /** True when it can run agents now. */
  abstract available(): Promise<boolean>;

  /** What the name resolves to, if that is here; null where it is not, or nobody can tell now: `prepareImage` says why. */
  abstract findImage(imageName: string): Promise<PreparedImage | null>;

  /** Makes sure the image is here; returns what its name resolves to. */
  abstract prepareImage(imageName: string, report: ProgressReport, signal: AbortSignal): Promise<PreparedImage>;

  /** What an image that is here says of itself. @throws AttemptFailure `image.unavailable` when it is gone */
  abstract describeImage(imageId: string): Promise<ImageFacts>;

  /** Makes the container, or finds the one made before. Returns its id and public name. */
  abstract create(spec: LaunchSpec): Promise<{ container_id: string; container_name: string }>;

  /**
   * Starts what was created, as far as the gate: the agent's own command waits there until `begin`. A second start
   * does not run the agent again.
   */
  abstract start(spec: LaunchSpec, containerId: string): Promise<void>;

  /**
   * Compares what was asked for with what is there, while the agent waits at the gate. Null: there is nothing to
   * compare (a process). Does not judge: the caller ends an attempt with differences.
   */
  abstract verify(spec: LaunchSpec): Promise<SandboxReport | null>;

  /** Whether the agent waits at a gate; else it is at work as soon as it is started. */
  abstract readonly has_gate: boolean;

  /** Opens the gate: the agent's command runs. Again: nothing. */
  abstract begin(agentId: string): Promise<void>;

  abstract inspect(agentId: string): Promise<Observed>;

  /** Resolves when the agent has ended or is gone; rejects only when `signal` aborts. */
  abstract waitForExit(agentId: string, signal: AbortSignal): Promise<Exit | 'vanished'>;

  /** Whether agents can be held still. */
  abstract readonly can_pause: boolean;

  /** Holds the agent still, all its processes; it is not asked. Paused already, or ended: nothing. */
  abstract pause(agentId: string): Promise<void>;

  /** Lets it go on. */
  abstract resume(agentId: string): Promise<void>;

  /** What it uses now, without `disk_bytes`; null when it does not run. */
  abstract usage(agentId: string): Promise<ResourceUsage | null>;

  /** Of a paused agent too: SIGTERM, then SIGKILL after `graceSeconds` (0: at once). Resolves when it has ended; absent is fine. */
  abstract stop(agentId: string, graceSeconds: number): Promise<void>;

  /** Removes container or process and what belongs to it; absent is fine. */
  abstract remove(agentId: string): Promise<void>;

  /** Agent ids of all that this home has made and that is still there, in whatever state. */
  abstract listAgentIds(): Promise<string[]>;
}

/** The runtime of each kind. */
export abstract class ContainerRuntimes {
  abstract get(runtime: Runtime): ContainerRuntime;
  abstract all(): readonly ContainerRuntime[];
}
