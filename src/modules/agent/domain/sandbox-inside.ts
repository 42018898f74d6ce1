import type { EngineCapabilities } from './sandbox-engine.js';
import type { AskedSandbox, SandboxPolicy, SandboxProbe } from './sandbox.js';

/** Something that is not as it was asked for, seen from inside. */
export interface InsideProblem {
  field: keyof SandboxPolicy;
  text: string;
}

/** Programs find these in every container; whatever else is there came from the host. */
const USUAL_DEVICES = new Set(['console', 'full', 'null', 'random', 'tty', 'urandom', 'zero']);
/** The kernel puts these into every new network namespace where their modules are loaded; down, without a route. */
const IDLE_INTERFACES = /^(tunl|gre|gretap|erspan|ip_vti|ip6_vti|sit|ip6tnl|ip6gre)0$/;
/** Mounts that an engine makes by itself, with the file systems that they may be. */
const OF_ENGINE: readonly [target: RegExp, type: RegExp][] = [
  [/^\/$/, /./],
  [/^\/proc(\/|$)/, /^(proc|tmpfs|devtmpfs)$/],
  [/^\/sys(\/|$)/, /^(sysfs|tmpfs|cgroup2?)$/],
  [/^\/dev(\/(pts|mqueue|shm))?$/, /^(tmpfs|devtmpfs|devpts|mqueue)$/],
  [/^\/dev\/(console|full|null|random|tty|urandom|zero)$/, /./], // bound one by one where the engine is no root
  [/^\/etc\/(hosts|hostname|resolv\.conf)$/, /./],
  [/^(\/usr)?\/sbin\/docker-init$|^\/dev\/init$/, /./],
];
/** In memory, beside a read-only root; the name of the user; and what it tells of itself. */
const OF_PODMAN: typeof OF_ENGINE = [
  [/^\/(run|var\/tmp|tmp)$/, /^tmpfs$/],
  [/^\/etc\/(passwd|group)$|^\/run\/(podman-init|\.containerenv)$/, /./],
];
/** Inode numbers below are of the namespaces that the kernel itself has made at boot. */
const FIRST_MADE_LATER = 0xf000_0000;
/** A control group rounds to whole pages, and pages have up to 64 KiB. */
const PAGE = 65_536;
/** A quota is counted in millionths of a second, of a period of a tenth: 10 000 billionths of a core. */
const CPU_STEP = 10_000;
/** The init process, the launcher, and what it may have just started to look around. */
const OWN_PROCESSES = 3;

/** What of the policy does not hold as seen from inside. */
export function insideProblems(
  { policy, network }: AskedSandbox,
  probe: SandboxProbe,
  capabilities: EngineCapabilities,
): InsideProblem[] {
  const problems: InsideProblem[] = [];
  const check = (field: keyof SandboxPolicy, wrong: boolean, text: string): void => {
    if (wrong) problems.push({ field, text: `seen from inside, ${text}` });
  };

  const [uid, gid = uid] = policy.user.split(':');
  check('user', `${probe.uid}:${probe.gid}` !== `${uid}:${gid}`, `it is ${probe.uid}:${probe.gid}`);
  const groups = probe.groups.filter((group) => String(group) !== gid);
  check('groups', groups.length > 0, `it is in ${groups.join(', ')} too`);
  for (const [set, hex] of Object.entries(probe.capabilities)) {
    check('cap_drop', !/^0+$/.test(hex), `there are capabilities left (${set} ${hex})`);
  }
  check('no_new_privileges', policy.no_new_privileges && !probe.no_new_privileges, 'it is not set');
  check('seccomp', policy.seccomp === 'default' && probe.seccomp !== 2, 'there is none');
  // The profile of Podman lets them be.
  const reachable = capabilities.product === 'docker' && probe.can_unshare_user;
  check('seccomp', policy.seccomp === 'default' && reachable, 'it lets a user namespace be made');
  check('apparmor', policy.apparmor !== '' && /^$|^unconfined/.test(probe.apparmor), 'there is none');
  const writable = probe.root_writable || !isReadOnly(probe, '/');
  check('read_only_root', policy.read_only_root && writable, 'the root is writable');
  const open = probe.proc_sys_writable || !isReadOnly(probe, '/proc/sys');
  check('masked_paths', policy.masked_paths && open, '/proc/sys is writable');

  const interfaces = probe.interfaces.filter((name) => !IDLE_INTERFACES.test(name)).toSorted();
  const expected = network === 'open' ? ['eth0', 'lo'] : ['lo'];
  const others = interfaces.join(' ') !== expected.join(' ');
  check('network_mode', others, `there is ${interfaces.join(', ') || 'nothing'} instead of ${expected.join(', ')}`);
  check('network_mode', network !== 'open' && probe.routes.length > 0, 'there are routes to elsewhere');

  check('network_mode', isHosts(probe, 'net'), "it is in the host's network");
  check('ipc_mode', isHosts(probe, 'ipc'), "it shares the host's memory");
  check('uts_mode', isHosts(probe, 'uts'), "it has the host's name");
  check('cgroupns_mode', policy.cgroupns_mode === 'private' && isHosts(probe, 'cgroup'), "it sees the host's");
  const many = isHosts(probe, 'pid') || probe.pids.length > OWN_PROCESSES;
  check('pid_mode', many, `it sees ${probe.pids.length} processes that are not its own`);
  check('init', policy.init && probe.pids.every((pid) => pid === 1), 'there is none');

  check('memory_bytes', isAbove(policy.memory_bytes, probe.memory_max, PAGE), limitIs(probe.memory_max));
  const swap = isAbove(policy.memory_swap_bytes, probe.memory_swap_max, PAGE);
  check('memory_swap_bytes', swap, limitIs(probe.memory_swap_max));
  check('nano_cpus', isAbove(policy.nano_cpus, probe.nano_cpus, CPU_STEP), limitIs(probe.nano_cpus));
  check('pids', isAbove(policy.pids, probe.pids_max, 1), limitIs(probe.pids_max));
  for (const limit of policy.ulimits.filter((one) => !probe.rlimits.includes(one))) {
    const seen = probe.rlimits.find((one) => one.split(' ')[0] === limit.split(' ')[0]);
    check('ulimits', true, `there is ${seen ?? 'nothing'} instead of ${limit}`);
  }
  return [...problems, ...mountProblems(policy, probe, capabilities)];
}

/** Mounts are known by where they are: what lies behind one does not show from inside. */
function mountProblems(policy: SandboxPolicy, probe: SandboxProbe, { product }: EngineCapabilities): InsideProblem[] {
  const ofEngine = product === 'podman' ? [...OF_ENGINE, ...OF_PODMAN] : OF_ENGINE;
  const asked = policy.mounts.map((mount) => mount.split(' ').slice(-2) as [target: string, mode: string]);
  const missing = asked.filter(([target]) => !probe.mounts.some((mount) => mount.target === target));
  const writable = asked.filter(([target, mode]) => mode === 'ro' && !isReadOnly(probe, target));
  const surplus = probe.mounts.filter(
    ({ target, type }) =>
      !asked.some(([known]) => known === target) &&
      !ofEngine.some(([place, types]) => place.test(target) && types.test(type)),
  );
  const devices = probe.devices.filter((name) => !USUAL_DEVICES.has(name));
  const inside = 'seen from inside,';
  return [
    ...missing.map(([target]): InsideProblem => ({ field: 'mounts', text: `${inside} ${target} is not there` })),
    ...writable.map(([target]): InsideProblem => ({ field: 'mounts', text: `${inside} ${target} is writable` })),
    ...surplus.map(({ target }): InsideProblem => ({
      field: 'mounts',
      text: `${inside} there is ${target}, which was not asked for`,
    })),
    ...devices.map((name): InsideProblem => ({ field: 'devices', text: `${inside} there is /dev/${name}` })),
  ];
}

/** Of several mounts at one place the last one is what a program sees. */
function isReadOnly(probe: SandboxProbe, target: string): boolean {
  return probe.mounts.findLast((mount) => mount.target === target)?.options.includes('ro') ?? false;
}

function isHosts(probe: SandboxProbe, name: string): boolean {
  const inode = probe.namespaces[name];
  return inode !== undefined && inode < FIRST_MADE_LATER;
}

/** Whether a limit that shows is higher than what was asked for. */
function isAbove(asked: number | null, seen: number | null, step: number): boolean {
  if (asked === null || seen === null) return false;
  return seen === -1 || seen >= asked + step;
}

function limitIs(seen: number | null): string {
  return seen === -1 ? 'there is none' : `it is ${seen}`;
}
