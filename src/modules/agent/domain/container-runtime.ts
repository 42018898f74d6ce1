import type { ResourceLimits, Runtime } from '../contracts/agent.types.js';
import type { Exit } from './outcome.js';

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
  workspace_directory: string;
  run_directory: string;
  user: AgentUser;
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
  | { state: 'running'; container_id: string }
  | { state: 'exited'; container_id: string; exit: Exit };

/** Tells people what goes on: words, and percent where they are known. */
export type ProgressReport = (message: string, percent?: number) => void;

/**
 * Runs agents: in containers of an engine, or as plain processes. An agent is found again by its id alone, by any
 * server of the same home. Output goes to the run directory, never over a connection. Every method may be called
 * again after a kill at any point. Failures that a user should read are thrown as `AttemptFailure`.
 */
export abstract class ContainerRuntime {
  abstract readonly runtime: Runtime;

  /** True when it can run agents now. */
  abstract available(): Promise<boolean>;

  /** Makes sure the image is here; returns what its name resolves to. */
  abstract prepareImage(imageName: string, report: ProgressReport, signal: AbortSignal): Promise<string | null>;

  /** Makes the container, or finds the one made before. Returns its id and public name. */
  abstract create(spec: LaunchSpec): Promise<{ container_id: string; container_name: string }>;

  /** Starts what was created. A second start does not run the agent again. */
  abstract start(spec: LaunchSpec, containerId: string): Promise<void>;

  abstract inspect(agentId: string): Promise<Observed>;

  /** Resolves when the agent has ended or is gone; rejects only when `signal` aborts. */
  abstract waitForExit(agentId: string, signal: AbortSignal): Promise<Exit | 'vanished'>;

  /** SIGTERM, then SIGKILL after `graceSeconds` (0: at once). Resolves when it has ended; absent is fine. */
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
