import type { EngineCapabilities } from './sandbox-engine.js';
import { insideProblems } from './sandbox-inside.js';
import type { AskedSandbox, SandboxPolicy, SandboxProbe } from './sandbox.js';

type Field = keyof SandboxPolicy;
type Value = SandboxPolicy[Field];

/** What each part is called, with the engine's own word for it. */
const NAMES: Record<Field, string> = {
  image: 'the image (Image)',
  entrypoint: 'what runs first (Entrypoint)',
  user: 'the user (User)',
  groups: 'further groups (GroupAdd)',
  privileged: 'all rights of the host (Privileged)',
  cap_add: 'added capabilities (CapAdd)',
  cap_drop: 'dropped capabilities (CapDrop)',
  no_new_privileges: 'no new privileges (SecurityOpt no-new-privileges)',
  seccomp: 'the filter of system calls (SecurityOpt seccomp)',
  apparmor: 'the AppArmor profile (SecurityOpt apparmor)',
  masked_paths: 'hidden parts of /proc and /sys (MaskedPaths, ReadonlyPaths)',
  read_only_root: 'a read-only root (ReadonlyRootfs)',
  network_mode: 'the network (NetworkMode)',
  ipc_mode: 'shared memory (IpcMode)',
  pid_mode: 'the processes it sees (PidMode)',
  userns_mode: 'the user namespace (UsernsMode)',
  uts_mode: 'the host name (UTSMode)',
  cgroupns_mode: 'the control groups it sees (CgroupnsMode)',
  memory_bytes: 'memory (Memory)',
  memory_swap_bytes: 'memory with swap (MemorySwap)',
  nano_cpus: 'processor time (NanoCpus)',
  pids: 'the number of processes (PidsLimit)',
  ulimits: 'limits of a process (Ulimits)',
  mounts: 'mounts (Mounts, Binds, Tmpfs)',
  shm_bytes: 'the size of /dev/shm (ShmSize)',
  devices: 'devices (Devices)',
  init: 'an init process (Init)',
  extras: 'further settings that open a container',
};

/** Of these an engine may have more than was asked for: its own defaults for others. */
const AT_LEAST: ReadonlySet<Field> = new Set(['ulimits']);

/** What a host may not be able to do; said rather than refused, because no setting of the container is to blame. */
const DEPENDS: readonly { fields: Field[]; on: keyof EngineCapabilities; text: string }[] = [
  { fields: ['seccomp'], on: 'seccomp', text: 'the engine has no filter of system calls (seccomp)' },
  { fields: ['memory_bytes', 'memory_swap_bytes'], on: 'memory_limit', text: 'the engine can not limit memory' },
  { fields: ['memory_swap_bytes'], on: 'swap_limit', text: 'the engine can not keep memory from being swapped out' },
  { fields: ['pids'], on: 'pids_limit', text: 'the engine can not limit the number of processes' },
  { fields: ['nano_cpus'], on: 'cpu_limit', text: 'the engine can not limit processor time' },
  {
    fields: ['cgroupns_mode'],
    on: 'private_cgroupns',
    text: "the engine lets containers see the host's control groups",
  },
];

/**
 * Compares what was asked for with what the engine shows and with what was seen from inside (null: not started yet).
 * `differences` are for people and name the engine's setting; one is enough to refuse. What the engine itself says
 * that it can't do is no difference, it is `not_enforced`.
 */
export function compareSandbox(
  asked: AskedSandbox,
  inspected: SandboxPolicy,
  probe: SandboxProbe | null,
  capabilities: EngineCapabilities,
): { differences: string[]; not_enforced: string[] } {
  const { policy } = asked;
  const unable = DEPENDS.filter(
    ({ fields, on }) => !capabilities[on] && fields.some((field) => isAsked(policy[field])),
  );
  const excused = new Set(unable.flatMap(({ fields }) => fields));
  const differences: string[] = [];
  for (const field of Object.keys(NAMES) as Field[]) {
    if (excused.has(field)) continue;
    if (field === 'apparmor' && probe === null) continue; // engines decide on it with the start
    const text = difference(policy[field], inspected[field], AT_LEAST.has(field));
    if (text) differences.push(`${NAMES[field]}: ${text}`);
  }
  if (probe) {
    for (const { field, text } of insideProblems(asked, probe, capabilities))
      if (!excused.has(field)) differences.push(`${NAMES[field]}: ${text}`);
  }
  return { differences, not_enforced: unable.map(({ text }) => text) };
}

function isAsked(value: Value): boolean {
  return value !== null && value !== '';
}

function difference(asked: Value, seen: Value, atLeast: boolean): string | undefined {
  if (Array.isArray(asked) && Array.isArray(seen)) {
    const missing = asked.filter((one) => !seen.includes(one));
    const surplus = atLeast ? [] : seen.filter((one) => !asked.includes(one));
    const parts = [
      ...(missing.length > 0 ? [`the engine shows no ${missing.join(', ')}`] : []),
      ...(surplus.length > 0 ? [`the engine shows ${surplus.join(', ')}, which was not asked for`] : []),
    ];
    return parts.length > 0 ? parts.join(', and ') : undefined;
  }
  return asked === seen ? undefined : `asked for ${said(asked)}, the engine shows ${said(seen)}`;
}

function said(value: Value): string {
  if (value === null) return 'no limit';
  if (value === '') return "the engine's default";
  if (typeof value === 'boolean') return value ? 'it' : 'none';
  return String(value);
}
