import { Query } from '../../../common/bus/contracts.js';

/** How `disk_limit` is held on a host. */
export const DISK_LIMIT_METHODS = ['filesystem', 'measured'] as const;

/** Something that is asked for by default and that a host can't hold. */
export interface NotEnforced {
  what: string;
  /** Why, and what it means. */
  why: string;
}

/**
 * The container engine of a server's host. `available` is of now; all else is of the last check, and empty or null
 * where none could be made. No path of the host in it.
 */
export interface EngineStatus {
  available: boolean;
  /** `docker` or `podman`, by the engine's own words. */
  product: string | null;
  version: string | null;
  api_version: string | null;
  /** Of the program that makes containers, such as runc. */
  runtime_version: string | null;
  cgroup_version: string | null;
  cgroup_driver: string | null;
  storage_driver: string | null;
  /** Whether the engine could limit what a container writes to its own layer, which agents can't; null: not known. */
  storage_quota: boolean | null;
  /** Whether containers outlive a restart of the engine. */
  live_restore: boolean;
  /** What it confines by: `seccomp`, `apparmor`, `selinux`, `userns`, `rootless`, `cgroupns`. */
  security: string[];
  not_enforced: NotEnforced[];
  disk_limit_method: (typeof DISK_LIMIT_METHODS)[number] | null;
  /** RFC 3339. */
  checked_at: string;
}

/** The engine as this server found it; null while it has just started. For everybody who is signed in. */
export class GetEngineQuery extends Query<EngineStatus | null> {}
