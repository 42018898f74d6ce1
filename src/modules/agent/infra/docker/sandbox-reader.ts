import type { ContainerCreateOptions, ContainerInspectInfo, HostConfig, MountSettings } from 'dockerode';
import type { EngineCapabilities } from '../../domain/sandbox-engine.js';
import type { SandboxPolicy } from '../../domain/sandbox.js';
import { inDockerWords } from './sandbox-podman.js';
import { mountText, tmpfsTexts, type NameOfMount, type SeenMount } from './sandbox-mounts.js';

/** The client library's type lacks it. */
type Host = HostConfig & { CgroupnsMode?: string };

/** What is read of the options and of the engine's answer alike. */
interface Shape {
  image: string;
  /** The first program. */
  program: string;
  user: string;
  apparmor: string;
  mounts: SeenMount[];
  host: Host;
}

/** What an engine gives where nothing else is asked for. */
const DEFAULT_SHM_BYTES = 67_108_864;
/** Settings that are empty in a container which is confined, whatever the agent type says. */
const EXTRAS = [
  ...['VolumesFrom', 'DeviceRequests', 'DeviceCgroupRules', 'Sysctls', 'Links', 'PortBindings', 'PublishAllPorts'],
  ...['OomKillDisable', 'OomScoreAdj', 'CgroupParent', 'Cgroup', 'ExtraHosts', 'Annotations'],
];
/** Podman shows one by one what was dropped: who has lost these, which every container has by default, has lost all. */
const DEFAULT_CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'];

/** The policy that these options ask for. */
export function requestedPolicy(
  options: ContainerCreateOptions,
  nameOf: NameOfMount,
  engine: EngineCapabilities,
): SandboxPolicy {
  const asked: Host = options.HostConfig ?? {};
  const host: Host = {
    ...asked,
    ShmSize: asked.ShmSize ?? DEFAULT_SHM_BYTES,
    CgroupnsMode: asked.CgroupnsMode ?? engine.default_cgroupns,
  };
  const shape: Shape = {
    image: options.Image ?? '',
    program: [options.Entrypoint ?? []].flat()[0] ?? '',
    user: options.User ?? '',
    apparmor: engine.apparmor ? 'docker-default' : '',
    mounts: (asked.Mounts ?? []).map((mount: MountSettings): SeenMount => {
      return { Type: mount.Type, Source: mount.Source, Destination: mount.Target, RW: !mount.ReadOnly };
    }),
    host,
  };
  return policyOf(shape, nameOf, engine);
}

/** The policy that the engine shows. */
export function inspectedPolicy(
  shown: ContainerInspectInfo,
  nameOf: NameOfMount,
  engine: EngineCapabilities,
): SandboxPolicy {
  const seen = engine.product === 'podman' ? inDockerWords(shown) : shown;
  const shape: Shape = {
    image: seen.Image,
    program: seen.Path,
    user: seen.Config.User,
    apparmor: seen.AppArmorProfile,
    mounts: seen.Mounts,
    host: seen.HostConfig,
  };
  return policyOf(shape, nameOf, engine);
}

function policyOf(shape: Shape, nameOf: NameOfMount, engine: EngineCapabilities): SandboxPolicy {
  const { image, program, user, apparmor, mounts, host } = shape;
  const devices = (host.Devices ?? []) as { PathInContainer?: string }[];
  const own = host.Runtime === undefined || ['', engine.default_runtime].includes(host.Runtime);
  const launcher = mounts.find(({ Destination: target }) => target === program);
  return {
    image,
    entrypoint: launcher && nameOf(launcher) === 'launcher' ? 'launcher' : program,
    user,
    groups: (host.GroupAdd ?? []).map(String).toSorted(),
    privileged: host.Privileged === true,
    cap_add: capabilities(host.CapAdd),
    cap_drop: dropped(capabilities(host.CapDrop)),
    no_new_privileges: ['', 'true'].includes(securityOption(host, 'no-new-privileges') ?? 'false'),
    seccomp: seccompName(securityOption(host, 'seccomp')),
    // The name of Podman's has its version in it.
    apparmor: /^(docker|containers)-default/.test(apparmor) ? 'default' : apparmor,
    // Where an engine does not tell, the look from inside does.
    masked_paths: [host.MaskedPaths, host.ReadonlyPaths].every((paths) => paths === undefined || !isEmpty(paths)),
    read_only_root: host.ReadonlyRootfs === true,
    network_mode: host.NetworkMode ?? '',
    ipc_mode: host.IpcMode ?? '',
    pid_mode: host.PidMode ?? '',
    userns_mode: host.UsernsMode ?? '',
    uts_mode: host.UTSMode ?? '',
    cgroupns_mode: host.CgroupnsMode ?? '',
    memory_bytes: limit(host.Memory),
    memory_swap_bytes: limit(host.MemorySwap),
    nano_cpus: limit(host.NanoCpus),
    pids: limit(host.PidsLimit),
    ulimits: (host.Ulimits ?? []).map((one) => `${one.Name} ${one.Soft} ${one.Hard}`).toSorted(),
    mounts: [...mounts.map((mount) => mountText(mount, nameOf)), ...tmpfsTexts(host.Tmpfs)].toSorted(),
    shm_bytes: limit(host.ShmSize),
    devices: devices.map(({ PathInContainer: path }) => path ?? 'one without a name').toSorted(),
    init: host.Init === true,
    extras: [
      ...EXTRAS.filter((name) => !isEmpty((host as Record<string, unknown>)[name])),
      ...(own ? [] : ['Runtime']),
      ...(securityOption(host, 'label') === 'disable' ? ['SecurityOpt label=disable'] : []),
    ],
  };
}

/** The value of `name`, `name=value` or `name:value` among the security options; undefined where it is not there. */
function securityOption(host: HostConfig, name: string): string | undefined {
  const options = (host.SecurityOpt ?? []) as string[];
  const found = options.find(
    (option) => option === name || (/^[=:]$/.test(option.slice(name.length)[0] ?? '') && option.startsWith(name)),
  );
  return found?.slice(name.length + 1);
}

function seccompName(profile: string | undefined): string {
  if (profile === undefined || profile === 'builtin') return 'default';
  return profile === 'unconfined' ? profile : 'a profile of its own';
}

function capabilities(list: unknown): string[] {
  return ((list ?? []) as string[]).map((name) => name.toUpperCase().replace(/^CAP_/, '')).toSorted();
}

function dropped(names: string[]): string[] {
  return DEFAULT_CAPABILITIES.every((name) => names.includes(name)) ? ['ALL'] : names;
}

function limit(value: number | null | undefined): number | null {
  return typeof value === 'number' && value > 0 ? value : null;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false || value === 0) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
