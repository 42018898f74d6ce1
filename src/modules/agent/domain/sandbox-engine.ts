import type { EngineStatus } from '../contracts/engine.queries.js';

/** What an engine says that it can do, as far as sandboxes ask for it. */
export interface EngineCapabilities {
  /** Whose words it speaks. */
  product: 'docker' | 'podman';
  seccomp: boolean;
  apparmor: boolean;
  memory_limit: boolean;
  swap_limit: boolean;
  pids_limit: boolean;
  cpu_limit: boolean;
  /** Whether a container can be kept from seeing the control groups of others. */
  private_cgroupns: boolean;
  /** The program that makes containers where no other is asked for. */
  default_runtime: string;
  /** What a container gets that asks for nothing: `host` or `private`. */
  default_cgroupns: 'host' | 'private';
}

/** Knows the engine of this host: what it says of itself, and what a container that was tried has shown. */
export abstract class EngineChecks {
  /** The last check; null before the first one has ended. */
  abstract status(): EngineStatus | null;
}
