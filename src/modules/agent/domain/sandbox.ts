import type { NetworkMode } from '../contracts/agent.types.js';

/** What confines an agent. The same shape for what was asked for and for what the engine shows. */
export interface SandboxPolicy {
  /** The resolved image. */
  image: string;
  /** What runs first: `launcher`, or the engine's word for anything else. */
  entrypoint: string;
  user: string;
  /** Groups beside the user's own. */
  groups: string[];
  privileged: boolean;
  cap_add: string[];
  cap_drop: string[];
  no_new_privileges: boolean;
  /** `default`: the engine's own profile. */
  seccomp: string;
  /** Profile of AppArmor: `default` is the engine's own; empty where the engine has none. */
  apparmor: string;
  /** Whether the engine hides and write-protects what is dangerous in `/proc` and `/sys`. */
  masked_paths: boolean;
  read_only_root: boolean;
  /** The engine's word for it: `none`, or a network's name. */
  network_mode: string;
  ipc_mode: string;
  pid_mode: string;
  userns_mode: string;
  uts_mode: string;
  cgroupns_mode: string;
  memory_bytes: number | null;
  /** Memory and swap together: the same as `memory_bytes` means no swap; null: unlimited. */
  memory_swap_bytes: number | null;
  nano_cpus: number | null;
  pids: number | null;
  /** `name soft hard`, sorted. */
  ulimits: string[];
  /** `source target ro|rw`, sorted. Sources are told apart by what they are, not where; `tmpfs` is none of the host. */
  mounts: string[];
  /** Bytes of `/dev/shm`. */
  shm_bytes: number | null;
  devices: string[];
  init: boolean;
  /** Names of further settings of the engine that open a container, such as `Sysctls` or `VolumesFrom`. */
  extras: string[];
}

/** What the engine was asked for, for an agent that may reach what `network` says. */
export interface AskedSandbox {
  policy: SandboxPolicy;
  network: NetworkMode;
}

/** What a program of ours has seen from inside, before the agent's first instruction. */
export interface SandboxProbe {
  uid: number;
  gid: number;
  groups: number[];
  /** `CapInh`, `CapPrm`, `CapEff`, `CapBnd`, `CapAmb` as the kernel writes them, in hex. */
  capabilities: Record<string, string>;
  no_new_privileges: boolean;
  /** 0 off, 1 strict, 2 filter. */
  seccomp: number;
  /** Of the kernel's security module; empty where there is none. */
  apparmor: string;
  interfaces: string[];
  /** Destinations of IPv4 routes, in hex as the kernel writes them. */
  routes: string[];
  /** Inode numbers of `/proc/self/ns/*` by name: `cgroup`, `ipc`, `net`, `pid`, `user`, `uts`. The host's own are fixed. */
  namespaces: Record<string, number>;
  /** `target options` of every mount. */
  mounts: { target: string; type: string; options: string[] }[];
  /** Names of the character and block devices right in `/dev`, sorted. */
  devices: string[];
  root_writable: boolean;
  proc_sys_writable: boolean;
  /** Whether a user namespace could be made. */
  can_unshare_user: boolean;
  /** What the control group says; -1 is unlimited, null where it does not show from inside. */
  memory_max: number | null;
  /** Memory and swap together. */
  memory_swap_max: number | null;
  nano_cpus: number | null;
  pids_max: number | null;
  /** `name soft hard`; -1 is unlimited. */
  rlimits: string[];
  /** Visible process ids: 1 is the container's own first one. */
  pids: number[];
}

/** What was asked for, what was seen, and where they differ. Kept with the attempt. */
export interface SandboxReport {
  verified_at: string;
  /** What the agent type asks for; `network_mode` is the engine's part of it. */
  network: NetworkMode;
  policy: SandboxPolicy;
  inspected: SandboxPolicy;
  /** Null before the start. */
  probe: SandboxProbe | null;
  /** In words; anything here ends the attempt. */
  differences: string[];
  /** What was asked for and can't be held on this host, as the engine itself says. */
  not_enforced: string[];
}
